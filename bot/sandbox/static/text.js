// Slack's mrkdwn and the markdown of `markdown` blocks, rendered to elements.

import { h, link } from "./dom.js";
import { EMOJI } from "./emoji.js";

const SHARED = [
  String.raw`(?<code>\x60+[^\x60\n](?:[^\n]*?[^\x60\n])?\x60+)`,
  String.raw`(?<token><[^<>\n]+>)`,
  String.raw`(?<url>https?:\/\/[^\s<>|\x60"']*[^\s<>|\x60"'.,;:!?)\]*_~])`,
  String.raw`(?<emoji>:[a-z0-9_+-]+:)`,
];
const MRKDWN = new RegExp(
  [
    ...SHARED,
    String.raw`(?<bold>(?<![\w*])\*(?! )[^*\n]+?(?<! )\*(?![\w*]))`,
    String.raw`(?<italic>(?<![\w_])_(?! )[^_\n]+?(?<! )_(?![\w_]))`,
    String.raw`(?<strike>(?<![\w~])~(?! )[^~\n]+?(?<! )~(?![\w~]))`,
  ].join("|"),
  "gu",
);
const MARKDOWN = new RegExp(
  [
    String.raw`(?<escape>\\[\\\x60*_~\[\]()#>+\-.!|{}])`,
    String.raw`(?<link>!?\[(?:[^\]\n]*)\]\((?:[^()\s]|\([^()\s]*\))+(?:\s+"[^"\n]*")?\))`,
    ...SHARED,
    String.raw`(?<bold>\*\*(?! )(?:[^\n]+?)(?<! )\*\*|(?<![\w_])__(?! )[^\n]+?(?<! )__(?![\w_]))`,
    String.raw`(?<strike>~~(?! )[^\n]+?(?<! )~~)`,
    String.raw`(?<italic>(?<![\w*])\*(?! )[^*\n]+?(?<! )\*(?![\w*])|(?<![\w_])_(?! )[^_\n]+?(?<! )_(?![\w_]))`,
  ].join("|"),
  "gu",
);

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };

export function unescape(text) {
  return text.replace(/&(?:amp|lt|gt);/g, (entity) => ENTITIES[entity]);
}

export function escape(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

export class TextRenderer {
  // `directory` names people, channels and groups: {user(id), channel(id), group(id), me}.
  constructor(directory) {
    this.directory = directory;
  }

  mrkdwn(text) {
    return this.#fenced(text ?? "", (part) => this.#mrkdwnLines(part));
  }

  markdown(text) {
    return this.#fenced(text ?? "", (part) => this.#markdownLines(part));
  }

  plain(text) {
    return (text ?? "").replace(/:([a-z0-9_+-]+):/g, (whole, name) => EMOJI[name] ?? whole);
  }

  #fenced(text, render) {
    const nodes = [];
    for (const [index, part] of text.split("```").entries()) {
      if (index % 2 === 0) {
        if (part.trim()) nodes.push(...render(part.replace(/^\n|\n$/g, "")));
      } else {
        const code = part.replace(/^[a-z0-9+-]*\n/i, "").replace(/\n$/, "");
        nodes.push(h("pre", { class: "code" }, ...diffed(unescape(code))));
      }
    }
    return nodes;
  }

  #mrkdwnLines(text) {
    const nodes = [];
    for (const run of groups(text.split("\n"), (line) => /^\s*&gt; ?/.test(line))) {
      if (run.hit) {
        const body = run.lines.map((line) => line.replace(/^\s*&gt; ?/, "")).join("\n");
        nodes.push(h("blockquote", {}, ...this.#mrkdwnLines(body)));
      } else {
        nodes.push(h("p", {}, ...this.#broken(run.lines, MRKDWN)));
      }
    }
    return nodes;
  }

  #markdownLines(text) {
    const lines = text.split("\n");
    const nodes = [];
    let i = 0;
    while (i < lines.length) {
      const line = lines[i];
      if (!line.trim()) i += 1;
      else if (/^#{1,6}\s/.test(line)) {
        const depth = Math.min(line.match(/^#+/)[0].length + 2, 6);
        nodes.push(h(`h${depth}`, {}, ...this.#inline(line.replace(/^#+\s+/, ""), MARKDOWN)));
        i += 1;
      } else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
        nodes.push(h("hr"));
        i += 1;
      } else if (/^\s*(?:>|&gt;)/.test(line)) {
        const end = ending(lines, i, (l) => /^\s*(?:>|&gt;)/.test(l));
        const body = lines.slice(i, end).map((l) => l.replace(/^\s*(?:>|&gt;) ?/, ""));
        nodes.push(h("blockquote", {}, ...this.#markdownLines(body.join("\n"))));
        i = end;
      } else if (isTable(lines, i)) {
        const end = ending(lines, i, (l) => l.includes("|"));
        nodes.push(this.#table(lines.slice(i, end)));
        i = end;
      } else if (LIST.test(line)) {
        const end = ending(lines, i, (l) => LIST.test(l) || /^\s{2,}\S/.test(l));
        nodes.push(this.#list(lines.slice(i, end)));
        i = end;
      } else {
        const end = ending(lines, i, (l, at) => l.trim() && (at === i || !starts(lines, at)));
        nodes.push(h("p", {}, ...this.#broken(lines.slice(i, end), MARKDOWN)));
        i = end;
      }
    }
    return nodes;
  }

  #list(lines) {
    const indent = lines[0].match(/^\s*/)[0].length;
    const ordered = /^\s*\d+[.)]/.test(lines[0]);
    const items = [];
    for (const line of lines) {
      const depth = line.match(/^\s*/)[0].length;
      if (LIST.test(line) && depth <= indent + 1) items.push([line.replace(LIST, "")]);
      else items.at(-1).push(line);
    }
    const start = ordered ? Number(lines[0].match(/\d+/)[0]) : undefined;
    return h(
      ordered ? "ol" : "ul",
      { start },
      ...items.map(([first, ...rest]) => {
        const nested = rest.length && rest.some((line) => LIST.test(line));
        const more = nested ? [this.#list(rest.filter((line) => line.trim()))] : rest.map((r) => ` ${r.trim()}`);
        return h("li", {}, ...this.#inline(first, MARKDOWN), ...more);
      }),
    );
  }

  #table(lines) {
    const rows = lines.filter((_, at) => at !== 1).map(cells);
    const [head, ...body] = rows;
    return h(
      "div",
      { class: "table-scroll" },
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ...head.map((c) => h("th", { scope: "col" }, ...this.#inline(c, MARKDOWN))))),
        h("tbody", {}, ...body.map((row) => h("tr", {}, ...row.map((c) => h("td", {}, ...this.#inline(c, MARKDOWN)))))),
      ),
    );
  }

  #broken(lines, grammar) {
    return lines.flatMap((line, at) => [...(at ? [h("br")] : []), ...this.#inline(line, grammar)]);
  }

  #inline(text, grammar) {
    const nodes = [];
    let last = 0;
    for (const match of text.matchAll(grammar)) {
      if (match.index > last) nodes.push(unescape(text.slice(last, match.index)));
      nodes.push(this.#span(match, grammar));
      last = match.index + match[0].length;
    }
    if (last < text.length) nodes.push(unescape(text.slice(last)));
    return nodes;
  }

  #span(match, grammar) {
    const whole = match[0];
    const kind = Object.entries(match.groups).find(([, value]) => value !== undefined)[0];
    const inner = (cut) => this.#inline(whole.slice(cut, whole.length - cut), grammar);
    switch (kind) {
      case "code":
        return h("code", {}, unescape(whole.replace(/^`+|`+$/g, "")));
      case "token":
        return this.#token(whole.slice(1, -1), whole);
      case "url":
        return link(unescape(whole), unescape(whole));
      case "emoji": {
        const glyph = EMOJI[whole.slice(1, -1)];
        return glyph ? h("span", { class: "emoji", title: whole }, glyph) : whole;
      }
      case "escape":
        return whole.slice(1);
      case "link": {
        const [, label, url] = whole.match(/^!?\[([^\]]*)\]\(\s*(\S+?)(?:\s+"[^"]*")?\)$/);
        return link(unescape(url), ...this.#inline(label, grammar));
      }
      case "bold":
        return h("strong", {}, ...inner(grammar === MARKDOWN ? 2 : 1));
      case "strike":
        return h("s", {}, ...inner(grammar === MARKDOWN ? 2 : 1));
      default:
        return h("em", {}, ...inner(1));
    }
  }

  #token(token, whole) {
    const [target, label] = token.split("|");
    if (/^@[UW]/.test(target)) return this.mention(target.slice(1));
    if (target.startsWith("#C")) {
      return h("span", { class: "mention" }, `#${this.directory.channel(target.slice(1)) ?? label ?? "channel"}`);
    }
    if (target.startsWith("!subteam^")) {
      return h("span", { class: "mention" }, `@${this.directory.group(target.slice(9)) ?? label ?? "group"}`);
    }
    if (target.startsWith("!date^")) return label ?? "";
    if (target.startsWith("!")) return h("span", { class: "mention loud" }, `@${target.slice(1)}`);
    if (/^(https?:|mailto:)/.test(target)) return link(unescape(target), unescape(label ?? target));
    return unescape(whole);
  }

  mention(id) {
    const mine = id === this.directory.me();
    return h("span", { class: mine ? "mention mine" : "mention" }, `@${this.directory.user(id) ?? id}`);
  }
}

const LIST = /^\s*(?:[-*+•]|\d+[.)])\s+/;

// Colours the lines of a unified diff; other code stays as it is.
function diffed(code) {
  const lines = code.split("\n");
  const isDiff = lines.every((line) => /^[-+ @]|^$/.test(line)) && lines.some((line) => /^[-+]\S/.test(line));
  if (!isDiff) return [code];
  const look = { "+": "added", "-": "removed" };
  return lines.flatMap((line, at) => [
    ...(at ? ["\n"] : []),
    look[line[0]] ? h("span", { class: look[line[0]] }, line) : line,
  ]);
}

function cells(line) {
  return line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());
}

function isTable(lines, at) {
  return lines[at].includes("|") && /^\s*\|?[\s:|-]*-[\s:|-]*\|?\s*$/.test(lines[at + 1] ?? "") &&
    lines[at + 1].includes("-");
}

function starts(lines, at) {
  const line = lines[at];
  return /^#{1,6}\s/.test(line) || LIST.test(line) || /^\s*(?:>|&gt;)/.test(line) || isTable(lines, at);
}

function ending(lines, from, belongs) {
  let end = from + 1;
  while (end < lines.length && belongs(lines[end], end)) end += 1;
  return end;
}

function groups(lines, test) {
  const runs = [];
  for (const line of lines) {
    const hit = test(line);
    if (runs.length && runs.at(-1).hit === hit) runs.at(-1).lines.push(line);
    else runs.push({ hit, lines: [line] });
  }
  return runs.filter((run) => run.hit || run.lines.some((line) => line.trim()));
}
