//! (empty)
mod key;
mod remote;
mod pkt;
