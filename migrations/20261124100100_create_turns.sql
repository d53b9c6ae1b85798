-- Turns: how far each weighted round-robin has come. One row for each list of homeservers and weights.
CREATE TABLE turns (
    counter TEXT NOT NULL PRIMARY KEY,
    turn BIGINT NOT NULL CHECK (turn >= 0)
);
