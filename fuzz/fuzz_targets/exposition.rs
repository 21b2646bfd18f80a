//! A page is read line by line without a panic, and as well where every line is expected.
#![no_main]

use ferula::exposition::{Entry, Format, Parser, parse_exemplar};
use ferula::model::LabelsBuilder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|page: &[u8]| {
    for format in [Format::Text, Format::OpenMetrics] {
        read(page, format);
    }
});

fn read(page: &[u8], format: Format) {
    let (mut parser, mut again) = (Parser::new(page, format), Parser::new(page, format));
    let mut builder = LabelsBuilder::default();
    loop {
        let before = parser.pos();
        let Ok(Some(entry)) = parser.next() else {
            return;
        };
        assert!(parser.pos() > before && parser.pos() <= page.len());
        let Entry::Series { series, point } = entry else {
            if !again.next_if_line(parser.line_since(before)) {
                let _ = again.next();
            }
            assert_eq!(again.pos(), parser.pos());
            continue;
        };
        match again.next_if_series(series) {
            Ok(Some(same)) => {
                assert_eq!(same.v.to_bits(), point.v.to_bits());
                assert_eq!((same.t, same.exemplar), (point.t, point.exemplar));
            }
            Ok(None) => drop(again.next()),
            Err(error) => panic!("what was read is refused: {error}"),
        }
        assert_eq!(again.pos(), parser.pos());
        builder.clear();
        if parser.labels(series, &mut builder).is_ok() {
            let labels = builder.labels();
            builder.clear();
            assert!(again.labels(series, &mut builder).is_ok());
            assert_eq!(builder.labels(), labels);
        }
        if let Some(exemplar) = point.exemplar {
            let _ = parse_exemplar(exemplar);
        }
    }
}
