//! One object with all of its attributes.

use std::collections::HashSet;

use super::attributes::{Member, Planner, STRICTER, link};
use super::content::Content;
use super::facts::Facts;
use super::templates::{Built, Template};
use super::{Draft, Item, Marked, Tie, UnsentName, unsent, uuid_key};
use crate::connector::Skipped;
use crate::connectors::misp_feed::attribute_types::Form;
use crate::connectors::misp_feed::event::{Attribute, Object};
use crate::connectors::misp_feed::tags::{Entity, EntityKind, Marks};
use crate::stix::key;
use crate::stix::make_id::ValueType;
use crate::stix::text::{NAME_CHARS, clean};

/// The most attributes of one object; no template has more than a hundred.
const MOST_ATTRIBUTES: usize = 1_000;
/// The most malware of one object with vulnerabilities.
const MOST_MALWARE: usize = 100;
pub(super) const TOO_MUCH_MALWARE: &str =
    "it has more than 100 families of malware; those behind are not tied to its vulnerabilities";
/// The most relationships within one object.
const MOST_TIES: usize = 10_000;

impl Planner<'_> {
    /// What an object becomes.
    pub(in super::super) fn object(&self, object: &Object<'_>) -> Item {
        let mut item = Item {
            odd: object.odd.clone(),
            ..Item::default()
        };
        let (mut members, mut no_objects) = (Vec::new(), 0_usize);
        let said = self.tags_of(&object.tags, &object.clusters);
        let inherited = said.to_inherit();
        if !said.is_inherited_whole() {
            let reason = "it has more than 20 labels or threats; those behind do not hold for its attributes";
            item.skipped.push(left_out(object, reason.to_owned()));
        }
        let marks = self.event.marks.replaced_by(&said.marks);
        let entities = said.entities.into_iter();
        item.said = entities
            .map(|it| Marked {
                it,
                marks: marks.clone(),
            })
            .collect();
        for (place, text) in object.attributes().enumerate() {
            item.attributes += 1;
            if members.len() >= MOST_ATTRIBUTES {
                continue;
            }
            match Attribute::read(text) {
                Some(mut attribute) => {
                    item.odd.add(std::mem::take(&mut attribute.odd));
                    members.push(self.member(place, attribute, &inherited));
                }
                // Deleted: nothing comes of it.
                None if text.starts_with('{') => {}
                None => no_objects += 1,
            }
        }
        if no_objects > 0 {
            let reason = format!("{no_objects} of its attributes are no JSON objects");
            item.skipped.push(left_out(object, reason));
        }
        if item.attributes > MOST_ATTRIBUTES {
            let reason = "it has more than 1000 attributes; those behind are not read";
            item.skipped.push(left_out(object, reason.to_owned()));
        }
        let template = Template::of(&object.name);
        let built = template.build(&members);
        let built = built.filter(|_| self.settings.create_observables);
        let absorbed = |place: &usize| {
            let built = built.as_ref();
            built.is_some_and(|built| built.absorbed.contains(place))
        };
        for (place, member) in members.iter().enumerate() {
            let is_alone = !absorbed(&place) && member.attribute_type.form != Form::Link;
            if is_alone && !only_describes(member) {
                self.add_alone(&mut item, member);
            }
        }
        let main = match &built {
            Some(built) => Some(self.add_main(&mut item, object, &marks, &members, built)),
            None => self.add_traffic(&mut item, template, &members),
        };
        for (place, member) in members.iter().enumerate() {
            if absorbed(&place) {
                self.add_absorbed(&mut item, member, main);
            }
        }
        if template == Template::DomainAddress && !item.resolve() {
            let reason =
                "it has more than 10000 pairs of names and addresses; the rest is not tied";
            item.skipped.push(left_out(object, reason.to_owned()));
        }
        let has_own = main.is_some() || item.drafts.iter().any(|draft| !draft.is_indicator());
        let lacks_own = self.settings.create_observables && !has_own;
        if template == Template::Other || lacks_own {
            self.add_text(&mut item, object, &marks, &members);
        }
        self.finish(&mut item, object, &members, main);
        item
    }

    /// Adds the observable that a template describes.
    fn add_main(
        &self,
        item: &mut Item,
        object: &Object<'_>,
        marks: &Marks,
        members: &[Member<'_>],
        built: &Built,
    ) -> usize {
        let content = self.with_ends(built.content.clone(), members);
        let facts = self.object_facts(object, marks, members);
        if let Content::RegistryKey(key) = &content {
            for value in key.values.iter().cloned() {
                let value = Content::RegistryValue(value);
                item.drafts.push(Draft::observable(value, facts.clone()));
            }
        }
        let main = item.drafts.len();
        item.drafts.push(Draft::observable(content, facts));
        main
    }

    /// Puts the addresses of its ends into an e-mail: their ids, as they are written by themselves.
    fn with_ends(&self, content: Content, members: &[Member<'_>]) -> Content {
        let Content::Email(mut email) = content else {
            return content;
        };
        let ids = |relation: &str| {
            let these = members.iter().filter(|m| m.relation() == relation);
            let these = these.filter(|member| member.attribute_type.form == Form::Email);
            let readings = these.filter_map(|member| self.read(member).ok());
            let contents = readings.flat_map(|reading| reading.observables);
            contents.map(|content| content.id()).collect::<Vec<_>>()
        };
        email.from = ids("from").into_iter().next();
        email.to = ids("to");
        email.cc = ids("cc");
        Content::Email(email)
    }

    /// Adds the traffic between the addresses of a connection.
    fn add_traffic(
        &self,
        item: &mut Item,
        template: Template,
        members: &[Member<'_>],
    ) -> Option<usize> {
        if template != Template::Connection || !self.settings.create_observables {
            return None;
        }
        let traffic = super::templates::traffic(members, |member| {
            let reading = self.read(member).ok()?;
            reading.observables.into_iter().next()
        })?;
        let mut facts = Facts::default();
        for member in members {
            facts.merge(member.facts.clone());
        }
        facts.entities.clear();
        let place = item.drafts.len();
        item.drafts
            .push(Draft::observable(Content::Traffic(traffic), facts));
        // What finds one of its ends finds the traffic.
        let indicators =
            (0..place).filter(|at| item.drafts.get(*at).is_some_and(Draft::is_indicator));
        let ties = indicators.map(|from| Tie {
            word: "based-on",
            from,
            to: place,
        });
        item.ties.extend(ties.collect::<Vec<_>>());
        Some(place)
    }

    /// What is said about an object that is marked so: what its attributes say together, and its own comment.
    fn object_facts(
        &self,
        object: &Object<'_>,
        of_object: &Marks,
        members: &[Member<'_>],
    ) -> Facts {
        let comment = clean(&object.comment, usize::MAX);
        let mut facts = Facts {
            timestamp: object.timestamp,
            comment: (!comment.is_empty()).then(|| comment.into_owned()),
            ..Facts::default()
        };
        let has_words = facts.comment.is_some();
        let mut marks = None;
        for member in members {
            let own = member.facts.marks.clone();
            marks = Some(match marks {
                Some(known) => own.stricter(&known),
                None => own,
            });
            facts.merge(member.facts.clone());
        }
        facts.marks = match marks {
            Some(marks) if has_words => marks.stricter(of_object),
            Some(marks) => marks,
            None => of_object.clone(),
        };
        facts.timestamp = facts.timestamp.or(self.event.timestamp);
        facts
    }

    /// Adds the indicators of an attribute that is a part of its object's observable.
    fn add_absorbed(&self, item: &mut Item, member: &Member<'_>, main: Option<usize>) {
        let begin = item.drafts.len();
        if !only_describes(member) {
            match self.read(member) {
                Ok(_) if !member.attribute_type.makes.indicator => {}
                Ok(reading) => {
                    let based_on: Vec<usize> = main.into_iter().collect();
                    for sign in reading.signs {
                        self.add_sign(item, member, sign, &based_on);
                    }
                }
                Err(reason) => item.skip(member, reason),
            }
        }
        if let Some(main) = main {
            self.add_sample(item, member, main);
        }
        item.represent(member, begin, main);
    }

    /// Adds a text that stands for an object of another template.
    fn add_text(
        &self,
        item: &mut Item,
        object: &Object<'_>,
        marks: &Marks,
        members: &[Member<'_>],
    ) {
        if !self.settings.create_object_observables {
            return;
        }
        let first = members.iter().find(|member| {
            let is_private = member.attribute_type.form == Form::Private;
            let is_secret = member.relation() == "password";
            !is_private && !is_secret && member.text().is_some()
        });
        let Some((first, value)) = first.and_then(|first| Some((first, first.text()?))) else {
            return;
        };
        let text = if self.settings.unsupported_as_text_transparent {
            value
        } else {
            let name = clean(&object.name, NAME_CHARS);
            let of_type = clean(&first.attribute.attribute_type, NAME_CHARS);
            format!("{name} ({of_type}={value})")
        };
        let facts = self.object_facts(object, marks, members);
        let from = item.drafts.len();
        item.drafts.push(Draft::observable(
            Content::Value(ValueType::Text, text),
            facts,
        ));
        let has_observables = item.drafts.iter().take(from).any(|d| !d.is_indicator());
        let places = (0..from).filter(|place| {
            let draft = item.drafts.get(*place);
            draft.is_some_and(|draft| draft.is_indicator() != has_observables)
        });
        let own = item.drafts.get(from).map(|draft| draft.key);
        let places = places.filter(|place| item.drafts.get(*place).map(|d| d.key) != own);
        let ties: Vec<Tie> = places
            .map(|to| Tie {
                word: "related-to",
                from,
                to,
            })
            .collect();
        item.ties.extend(ties);
        if let Some(uuid) = object.uuid.as_deref().and_then(uuid_key) {
            item.represented.push((uuid, from));
        }
    }
}

impl Item {
    /// Ties each name to each address; false where these are too many pairs.
    fn resolve(&mut self) -> bool {
        let of = |kinds: &[&str]| {
            let drafts = self.drafts.iter().enumerate();
            let these = drafts.filter(|(_, draft)| kinds.contains(&draft.kind()));
            these.map(|(place, _)| place).collect::<Vec<usize>>()
        };
        let names = of(&["Domain-Name", "Hostname"]);
        let addresses = of(&["IPv4-Addr", "IPv6-Addr"]);
        let pairs = names.iter();
        let pairs = pairs.flat_map(|from| addresses.iter().map(move |to| (*from, *to)));
        // What a pair in one attribute has tied is tied once more, which is one relationship.
        let ties = pairs.take(MOST_TIES).map(|(from, to)| Tie {
            word: "resolves-to",
            from,
            to,
        });
        self.ties.extend(ties);
        names.len().saturating_mul(addresses.len()) <= MOST_TIES
    }

    /// Notes the vulnerabilities among the entities, and the malware that belongs to them; false where that is too much.
    pub(super) fn tie_vulnerabilities(&mut self, members: &[Member<'_>]) -> bool {
        let is_one = |entity: &&Marked<Entity>| entity.it.kind == EntityKind::Vulnerability;
        self.vulnerabilities = self.entities.iter().filter(is_one).cloned().collect();
        if self.vulnerabilities.is_empty() {
            return true;
        }
        let mut known = HashSet::new();
        for member in members {
            let entities = member.facts.entities.iter();
            for entity in entities.filter(|entity| entity.kind == EntityKind::Malware) {
                if !known.insert(key(&entity.id())) {
                    continue;
                }
                if self.malware.len() >= MOST_MALWARE {
                    return false;
                }
                self.malware.push(Marked {
                    it: entity.clone(),
                    marks: member.facts.marks.clone(),
                });
            }
        }
        true
    }

    fn describe_vulnerabilities(&mut self, members: &[Member<'_>]) {
        let mut entities = self.entities.iter_mut();
        let Some(first) = entities.find(|entity| entity.it.kind == EntityKind::Vulnerability)
        else {
            return;
        };
        for member in members {
            let Some(text) = member.text() else {
                continue;
            };
            match member.relation() {
                "summary" | "description" => first.it.describe(text),
                "cvss-score" => first.it.rate(&text),
                _ => continue,
            }
            first.marks = first.marks.stricter(&member.facts.marks);
        }
    }
}

impl Planner<'_> {
    /// Notes what the object as a whole is represented by, and what its pages and vulnerabilities belong to.
    fn finish(
        &self,
        item: &mut Item,
        object: &Object<'_>,
        members: &[Member<'_>],
        main: Option<usize>,
    ) {
        let first = |is_indicator: bool| {
            let mut drafts = item.drafts.iter();
            drafts.position(|draft| draft.is_indicator() == is_indicator)
        };
        let place = main.or_else(|| first(false)).or_else(|| first(true));
        let uuid = object.uuid.as_deref().and_then(uuid_key);
        if let (Some(uuid), Some(place)) = (uuid, place)
            && !item.represented.iter().any(|(known, _)| *known == uuid)
        {
            item.represented.push((uuid, place));
        }
        if let (Some(uuid), Some(first)) = (uuid, members.first()) {
            let named = members.iter().find(|member| member.text().is_some());
            let named = named.unwrap_or(first);
            let name = || clean(&object.name, NAME_CHARS).into_owned();
            item.mention(uuid, named, Some(named.text().unwrap_or_else(name)));
        }
        self.add_pages(item, members);
        item.describe_vulnerabilities(members);
        if !item.tie_vulnerabilities(members) {
            item.skipped
                .push(left_out(object, TOO_MUCH_MALWARE.to_owned()));
        }
    }

    /// Adds the pages of an object to what it became, else to the report: to what is marked as strictly as they are.
    fn add_pages(&self, item: &mut Item, members: &[Member<'_>]) {
        let pages = members
            .iter()
            .filter(|member| member.attribute_type.form == Form::Link);
        for member in pages {
            let Some(page) = link(member) else {
                item.skip(member, "it is no address of a page");
                continue;
            };
            let mut is_taken = false;
            for draft in &mut item.drafts {
                if draft.facts.marks.cover(&member.facts.marks) {
                    is_taken = true;
                    if !draft.facts.references.contains(&page) {
                        draft.facts.references.push(page.clone());
                    }
                }
            }
            if !is_taken && self.fits_report(member) {
                item.links.push(page);
            } else if !is_taken {
                item.skip(member, STRICTER);
            }
        }
    }
}

/// Texts and names of files that are not for detection describe their object, and are nothing of their own. Other types
/// of names, such as those of attachments, are not among that.
fn only_describes(member: &Member<'_>) -> bool {
    let is_description = matches!(member.attribute_type.name, "text" | "filename");
    is_description && !member.attribute.to_ids
}

/// What of an object is left out, and why.
fn left_out(object: &Object<'_>, reason: String) -> Skipped {
    unsent(UnsentName::object(object), &object.name, reason)
}
