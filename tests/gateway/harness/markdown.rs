//! What guides show, taken from their Markdown.

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// What stands behind the fence: `yaml`, `sh`, or nothing.
    pub language: String,
    /// Its lines, without the indentation of a list.
    pub text: String,
}

/// All fenced blocks, in order.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((indent, language)) = line.split_once("```").filter(|(indent, _)| indent.trim().is_empty()) else {
            continue;
        };
        let block = lines.by_ref().take_while(|line| line.trim() != "```");
        let text = block.map(|line| line.strip_prefix(indent).unwrap_or(line).to_owned() + "\n").collect();
        found.push(Block { language: language.to_owned(), text });
    }
    found
}

/// Where links lead that name a file of the project, without what stands behind `#`.
pub fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).map(|target| target.split('#').next().unwrap_or(target))
}
