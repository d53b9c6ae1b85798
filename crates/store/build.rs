//! Builds again when a migration is added: `sqlx::migrate!` tells the compiler only about files it already knows.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
