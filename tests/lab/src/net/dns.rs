use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;

use crate::log::RequestLog;
use crate::serving::{ANY_PORT, Serving, within};

/// How a name resolves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// To these addresses, each to questions of its family.
    Addresses(Vec<IpAddr>),
    /// The name exists and has no such record.
    Empty,
    /// NXDOMAIN: the name does not exist.
    Unknown,
    /// SERVFAIL: the resolver could not find out.
    Failure,
    /// REFUSED: the resolver does not answer this asker.
    Refused,
    /// No answer at all.
    Silence,
}

type Table = Arc<Mutex<Vec<(String, Resolution)>>>;

/// A resolver over UDP that answers from a table; names that it does not hold do not exist.
pub struct Dns {
    serving: Serving,
    table: Table,
    log: RequestLog,
}

impl Dns {
    /// Starts with an empty table.
    pub fn start() -> Result<Dns> {
        let socket = StdUdpSocket::bind(ANY_PORT)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let socket = within(|| UdpSocket::from_std(socket))?;
        let (table, log) = (Table::default(), RequestLog::default());
        let (lookup, record) = (Arc::clone(&table), log.clone());
        let serving = Serving::new(address, async move {
            let mut packet = [0; 4096];
            loop {
                // An error here is about an earlier asker that is gone.
                let Ok((length, asker)) = socket.recv_from(&mut packet).await else { continue };
                if let Some(answer) = answer(&packet[..length], &lookup, &record) {
                    let _ = socket.send_to(&answer, asker).await;
                }
            }
        });
        Ok(Dns { serving, table, log })
    }

    /// Lets a name (without a final dot) resolve so from now on.
    pub fn set(&self, name: &str, resolution: Resolution) -> &Dns {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        table.push((name.to_owned(), resolution));
        self
    }

    /// Where it listens (UDP).
    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// What it was asked, such as `AAAA git.example`.
    pub fn log(&self) -> &RequestLog {
        &self.log
    }
}

fn answer(packet: &[u8], table: &Table, log: &RequestLog) -> Option<Vec<u8>> {
    let question = Message::from_vec(packet).ok()?;
    let query = question.queries.first()?.clone();
    let name = query.name().to_ascii().trim_end_matches('.').to_owned();
    log.note(query.query_type().to_string(), &name);
    let resolution = {
        let table = table.lock().unwrap_or_else(PoisonError::into_inner);
        table.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)).map(|(_, resolution)| resolution.clone())
    };
    let mut response = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    response.metadata.recursion_desired = question.metadata.recursion_desired;
    response.metadata.recursion_available = true;
    response.metadata.response_code = match resolution.unwrap_or(Resolution::Unknown) {
        Resolution::Silence => return None,
        Resolution::Unknown => ResponseCode::NXDomain,
        Resolution::Failure => ResponseCode::ServFail,
        Resolution::Refused => ResponseCode::Refused,
        Resolution::Empty => ResponseCode::NoError,
        Resolution::Addresses(addresses) => {
            let of_family = addresses.into_iter().filter_map(|address| match (address, query.query_type()) {
                (IpAddr::V4(v4), RecordType::A) => Some(RData::A(A(v4))),
                (IpAddr::V6(v6), RecordType::AAAA) => Some(RData::AAAA(AAAA(v6))),
                _ => None,
            });
            for data in of_family {
                response.add_answer(Record::from_rdata(query.name().clone(), 60, data));
            }
            ResponseCode::NoError
        }
    };
    response.add_query(query);
    response.to_vec().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hickory_resolver::proto::op::Query;
    use hickory_resolver::proto::rr::Name;

    use super::*;

    #[test]
    fn a_table_answers_in_every_way() {
        let dns = Dns::start().unwrap();
        let both = vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        dns.set("git.lab", Resolution::Addresses(both))
            .set("bare.lab", Resolution::Empty)
            .set("sick.lab", Resolution::Failure)
            .set("closed.lab", Resolution::Refused)
            .set("mute.lab", Resolution::Silence);

        let check = |name: &str, kind: RecordType, expect: Option<(ResponseCode, usize)>| {
            let socket = StdUdpSocket::bind(ANY_PORT).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            let mut question = Message::query();
            question.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
            socket.send_to(&question.to_vec().unwrap(), dns.address()).unwrap();
            let mut packet = [0; 512];
            let answer = socket.recv(&mut packet).ok().map(|length| Message::from_vec(&packet[..length]).unwrap());
            let seen = answer.map(|answer| (answer.metadata.response_code, answer.answers.len()));
            assert_eq!(seen, expect, "{name}");
        };
        check("git.lab.", RecordType::A, Some((ResponseCode::NoError, 1)));
        check("GIT.lab.", RecordType::AAAA, Some((ResponseCode::NoError, 1)));
        check("bare.lab.", RecordType::A, Some((ResponseCode::NoError, 0)));
        check("nowhere.lab.", RecordType::A, Some((ResponseCode::NXDomain, 0)));
        check("sick.lab.", RecordType::A, Some((ResponseCode::ServFail, 0)));
        check("closed.lab.", RecordType::A, Some((ResponseCode::Refused, 0)));
        check("mute.lab.", RecordType::A, None);
        assert_eq!(dns.log().lines()[0], "A git.lab");
    }
}
