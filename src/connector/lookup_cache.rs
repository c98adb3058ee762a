//! A cache of look-ups at a source: what is asked for again and again, such as the rule of an alert.
//!
//! Misses are remembered as well: a rule that was deleted is asked for once.

use std::hash::Hash;

use lru::LruCache;

/// Answers by their keys, up to a number and a size; the one that was not needed for longest goes first.
#[derive(Debug)]
pub struct LookupCache<K: Hash + Eq, V> {
    answers: LruCache<K, Answered<V>>,
    most_entries: usize,
    most_bytes: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Answered<V> {
    /// None where there is nothing of this key.
    value: Option<V>,
    bytes: usize,
}

impl<K: Hash + Eq, V: Clone> LookupCache<K, V> {
    /// A cache of at most so many answers, of at most so many bytes together.
    pub fn new(most_entries: usize, most_bytes: usize) -> Self {
        Self {
            answers: LruCache::unbounded(),
            most_entries,
            most_bytes,
            bytes: 0,
        }
    }

    /// What is known of a key: nothing, or an answer, which may be that there is nothing of it.
    pub fn get(&mut self, key: &K) -> Option<Option<V>> {
        let answered = self.answers.get(key)?;
        Some(answered.value.clone())
    }

    /// Remembers an answer of so many bytes. One that is larger than the whole cache is not remembered.
    pub fn put(&mut self, key: K, value: Option<V>, bytes: usize) {
        if let Some(before) = self.answers.pop(&key) {
            self.bytes -= before.bytes;
        }
        if bytes > self.most_bytes {
            return;
        }
        self.answers.put(key, Answered { value, bytes });
        self.bytes += bytes;
        while self.answers.len() > self.most_entries || self.bytes > self.most_bytes {
            let Some((_, oldest)) = self.answers.pop_lru() else {
                return;
            };
            self.bytes -= oldest.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_are_answers_too() {
        let mut cache: LookupCache<&str, String> = LookupCache::new(10, 100);
        assert_eq!(cache.get(&"a"), None);
        cache.put("a", None, 0);
        cache.put("b", Some("rule".to_owned()), 4);
        assert_eq!(cache.get(&"a"), Some(None));
        assert_eq!(cache.get(&"b"), Some(Some("rule".to_owned())));
    }

    #[test]
    fn what_was_not_needed_for_longest_goes_first() {
        let mut cache = LookupCache::new(2, 100);
        cache.put(1, Some('a'), 1);
        cache.put(2, Some('b'), 1);
        assert!(cache.get(&1).is_some());
        cache.put(3, Some('c'), 1);
        assert_eq!(cache.get(&2), None);
        assert!(cache.get(&1).is_some() && cache.get(&3).is_some());
    }

    #[test]
    fn it_is_never_larger_than_it_may_be() {
        let mut cache = LookupCache::new(100, 10);
        for key in 0..20 {
            cache.put(key, Some('x'), 3);
        }
        let held = (0..20).filter(|key| cache.get(key).is_some());
        assert_eq!(held.collect::<Vec<_>>(), [17, 18, 19]);
        // The same key again counts once.
        cache.put(19, Some('y'), 4);
        assert_eq!(cache.get(&19), Some(Some('y')));
        assert!(cache.get(&17).is_some());
        cache.put(30, Some('z'), 11);
        assert_eq!(cache.get(&30), None);
    }
}
