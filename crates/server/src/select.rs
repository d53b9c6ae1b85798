//! Selectors that touch the world. Those that need nothing but the ballot are in `usher_core::select`.

mod decision_service;

pub(crate) use decision_service::DecisionService;
