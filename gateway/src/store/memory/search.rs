use super::*;
use crate::store::words::spoken;

impl Memory {
    pub(super) fn found(&self, query: &SearchQuery) -> SearchPage {
        let mut page = SearchPage::default();
        for (key, agent, id, seq) in self.said.iter().rev() {
            let of_agent = query.agent.as_ref().is_none_or(|wanted| wanted == agent);
            if !of_agent || !(query.keys.is_empty() || query.keys.contains(key)) {
                continue;
            }
            let records = self.transcripts.get(id).map(Vec::as_slice).unwrap_or_default();
            let Some(record) = records.iter().find(|record| record.seq == *seq) else { continue };
            let Some((role, text)) = spoken(&record.entry) else { continue };
            let Some(snippet) = query.wanted.fits(&text) else { continue };
            if page.hits.len() == query.limit as usize {
                page.more = true;
                break;
            }
            page.hits.push(SearchHit {
                key: key.clone(),
                agent: agent.clone(),
                session_id: id.clone(),
                seq: *seq,
                role,
                at_ms: record.at_ms,
                snippet,
            });
        }
        page
    }
}
