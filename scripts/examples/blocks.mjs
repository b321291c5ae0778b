/**
 * The complete programs in a Markdown text: fenced blocks of JavaScript or TypeScript that import from
 * "fulmar" or "@fulmar/adapters". Others are fragments. A block stands for a program exactly as the reader sees it.
 */
export function programsOf(text) {
  const programs = [];
  let block;
  for (const [index, line] of text.split("\n").entries()) {
    if (block === undefined) {
      const fence = /^```(\w*)/.exec(line);
      if (fence !== null) block = { language: fence[1], line: index + 1, lines: [] };
    } else if (!/^```\s*$/.test(line)) {
      block.lines.push(line);
    } else {
      if (isProgram(block)) programs.push({ ...block, code: `${block.lines.join("\n")}\n` });
      block = undefined;
    }
  }
  return programs;
}

function isProgram({ language, lines }) {
  if (!["js", "mjs", "javascript", "ts", "typescript"].includes(language)) return false;
  return lines.some((line) => /^(import .*|\} )from "(fulmar|@fulmar\/adapters)(\/[\w-]+)?";$/.test(line));
}
