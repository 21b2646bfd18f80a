//! The texts of label values, one behind the other.
//!
//! Most are a few bytes long. A box for each would take 48 bytes with the allocator's overhead.

/// The place of a text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Value {
    at: u32,
    len: u32,
}

#[derive(Debug, Default)]
pub struct Values {
    texts: String,
    /// The bytes of released texts.
    gaps: usize,
}

impl Values {
    /// Returns `None` when there are 4 GiB of texts.
    pub fn add(&mut self, text: &str) -> Option<Value> {
        let end = self.texts.len().checked_add(text.len())?;
        u32::try_from(end).ok()?;
        if end > self.texts.capacity() {
            let more = text.len().max(self.texts.len() / 8);
            self.texts.reserve_exact(more);
        }
        let at = self.texts.len() as u32;
        self.texts.push_str(text);
        let len = text.len() as u32;
        Some(Value { at, len })
    }

    #[inline]
    pub fn get(&self, value: Value) -> &str {
        let start = value.at as usize;
        let range = start..start + value.len as usize;
        self.texts.get(range).unwrap_or_default()
    }

    pub fn release(&mut self, value: Value) {
        self.gaps += value.len as usize;
    }

    /// Closes the gaps if they are the larger part. `values` must be all live ones.
    pub fn compact<'a>(&mut self, values: impl Iterator<Item = &'a mut Value>) {
        if self.gaps * 2 <= self.texts.len() {
            return;
        }
        let mut texts = String::with_capacity(self.texts.len() - self.gaps);
        for value in values {
            let at = texts.len() as u32;
            texts.push_str(self.get(*value));
            value.at = at;
        }
        (self.texts, self.gaps) = (texts, 0);
    }

    /// The bytes of live texts.
    pub fn text_bytes(&self) -> usize {
        self.texts.len() - self.gaps
    }

    pub fn heap_bytes(&self) -> usize {
        self.texts.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_closed() {
        let mut values = Values::default();
        let mut all: Vec<Value> = (0..100)
            .map(|i| values.add(&format!("value {i}")).unwrap())
            .collect();
        all.push(values.add("").unwrap());
        let mut kept = Vec::new();
        for (i, value) in all.into_iter().enumerate() {
            assert_eq!(values.get(value) == format!("value {i}"), i < 100);
            if i % 3 == 0 {
                kept.push((i, value));
            } else {
                values.release(value);
            }
        }
        let bytes = values.text_bytes();
        values.compact(kept.iter_mut().map(|(_, value)| value));
        assert_eq!((values.heap_bytes(), values.text_bytes()), (bytes, bytes));
        for (i, value) in kept {
            assert_eq!(values.get(value), format!("value {i}"));
        }
        assert_eq!(values.get(Value::default()), "");
    }
}
