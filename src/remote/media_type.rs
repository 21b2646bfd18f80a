//! Which message a request holds, by its Content-Type (remote write 2.0 specification, "Protocol").

use thiserror::Error;

const PROTOBUF: &str = "application/x-protobuf";
const V1: &str = "prometheus.WriteRequest";
const V2: &str = "io.prometheus.write.v2.Request";

/// A message of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    V1,
    V2,
}

/// The messages that are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedMessages {
    /// NOTE: a flag can name two messages. Only this one is implemented.
    v1: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MessageError {
    #[error("expected {PROTOBUF} as the first (media) part, got {0} content-type")]
    MediaType(String),
    #[error(
        "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be \
         key-values, got {0} in {1} content-type"
    )]
    Parameter(String, String),
    #[error("got {0} content type; {1}")]
    ContentType(String, Box<MessageError>),
    #[error("unknown type for remote write protobuf message {0}, supported: {V1}, {V2}")]
    Unknown(String),
    #[error("{0} protobuf message is not accepted by this server; only accepts {1}")]
    NotAccepted(&'static str, &'static str),
}

impl AcceptedMessages {
    /// Reads the names in a flag.
    pub fn from_names<S: AsRef<str>>(names: &[S]) -> Result<AcceptedMessages, MessageError> {
        let mut accepted = AcceptedMessages { v1: false };
        for name in names {
            accepted.v1 |= Message::parse(name.as_ref())? == Message::V1;
        }
        Ok(accepted)
    }

    /// Checks that a request of this Content-Type can be read. Without one it counts as version 1.
    pub fn check(&self, content_type: Option<&str>) -> Result<(), MessageError> {
        let message = content_type
            .filter(|text| !text.is_empty())
            .map_or(Ok(Message::V1), message_of)?;
        let taken = if self.v1 { V1 } else { "" };
        match message {
            Message::V1 if self.v1 => Ok(()),
            Message::V1 => Err(MessageError::NotAccepted(V1, taken)),
            Message::V2 => Err(MessageError::NotAccepted(V2, taken)),
        }
    }
}

impl Message {
    fn parse(name: &str) -> Result<Message, MessageError> {
        match name {
            V1 => Ok(Message::V1),
            V2 => Ok(Message::V2),
            other => Err(MessageError::Unknown(other.to_owned())),
        }
    }
}

/// NOTE: Prometheus compares case and blanks exactly. A parameter name after a blank is another
/// name to it, which then means version 1.
fn message_of(content_type: &str) -> Result<Message, MessageError> {
    let content_type = content_type.trim();
    let mut parts = content_type.split(';');
    if parts.next() != Some(PROTOBUF) {
        return Err(MessageError::MediaType(content_type.to_owned()));
    }
    for part in parts {
        let mut sides = part.split('=');
        let (Some(name), Some(value), None) = (sides.next(), sides.next(), sides.next()) else {
            let (part, whole) = (part.to_owned(), content_type.to_owned());
            return Err(MessageError::Parameter(part, whole));
        };
        if name == "proto" {
            return Message::parse(value)
                .map_err(|e| MessageError::ContentType(content_type.to_owned(), Box::new(e)));
        }
    }
    Ok(Message::V1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content_type: &str, expect: &str) {
        let accepted = AcceptedMessages::from_names(&[V1, V2]).unwrap();
        let found = accepted.check(Some(content_type));
        let text = found.map_or_else(|e| e.to_string(), |()| "taken".to_owned());
        assert!(text.starts_with(expect), "{content_type}: {text}");
    }

    #[test]
    fn content_types() {
        check("", "taken");
        check("application/x-protobuf", "taken");
        check(" application/x-protobuf ", "taken");
        check("application/x-protobuf;charset=utf-8", "taken");
        check(
            "application/x-protobuf;proto=prometheus.WriteRequest",
            "taken",
        );
        check(
            "application/x-protobuf;proto=io.prometheus.write.v2.Request",
            "io.prometheus.write.v2.Request protobuf message is not accepted by this server; \
             only accepts prometheus.WriteRequest",
        );
        check(
            "application/x-protobuf;proto=x",
            "got application/x-protobuf;proto=x content type; unknown type for remote write \
             protobuf message x, supported: prometheus.WriteRequest, io.",
        );
        check(
            "text/plain",
            "expected application/x-protobuf as the first (media) part",
        );
        check(
            "Application/x-protobuf",
            "expected application/x-protobuf as",
        );
        check(
            "application/x-protobuf;foo",
            "as per https://www.rfc-editor.org/rfc/rfc9110",
        );
    }

    #[test]
    fn names_of_the_flag() {
        let only_v2 = AcceptedMessages::from_names(&[V2]).unwrap();
        assert!(only_v2.check(None).is_err());
        assert!(AcceptedMessages::from_names(&["v3"]).is_err());
    }
}
