/**
 * The text of the doc comments of a source, as Markdown, each line where it is in the source: what is not a
 * doc comment is left empty.
 */
export function commentsOf(text) {
  let inside = false;
  return text
    .split("\n")
    .map((line) => {
      if (/^\s*\/\*\*/.test(line)) inside = true;
      const content = inside ? (/^\s*\* ?(?!\/)(.*)$/.exec(line)?.[1] ?? "") : "";
      if (line.includes("*/")) inside = false;
      return content;
    })
    .join("\n");
}
