//! (empty)
mod hosts;
mod key;
mod known_hosts;
mod pkt;
mod remote;
