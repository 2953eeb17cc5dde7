// Block Kit, rendered to elements. `act(block, element, value)` is what a person does with one.

import { h, link } from "./dom.js";
import { emoji } from "./emoji.js";

const TASK = { pending: "○", in_progress: "◔", complete: "●", error: "✕" };

export class BlockRenderer {
  constructor(text) {
    this.text = text;
  }

  all(blocks, context) {
    return (blocks ?? []).map((block) => this.one(block, context));
  }

  one(block, context) {
    const render = this[`_${block.type}`];
    if (!render) return h("div", { class: "b-unknown" }, `[${block.type}]`);
    return render.call(this, block, context);
  }

  object(text) {
    if (!text) return [];
    return text.type === "mrkdwn" ? this.text.mrkdwn(text.text) : [this.text.plain(text.text)];
  }

  _section(block, context) {
    const body = h("div", { class: "b-section-text" });
    if (block.text) body.append(...this.object(block.text));
    if (block.fields) {
      const fields = block.fields.map((field) => h("div", {}, ...this.object(field)));
      body.append(h("div", { class: "b-fields" }, ...fields));
    }
    const side = block.accessory ? this.element(block, block.accessory, context) : null;
    return h("div", { class: "b-section" }, body, side);
  }

  _header(block) {
    return h("h3", { class: "b-header" }, this.text.plain(block.text.text));
  }

  _divider() {
    return h("hr", { class: "b-divider" });
  }

  _markdown(block) {
    return h("div", { class: "b-markdown rich" }, ...this.text.markdown(block.text));
  }

  _context(block) {
    const parts = block.elements.map((part) =>
      part.type === "image"
        ? h("span", { class: "b-context-image", title: part.alt_text }, "▣")
        : h("span", {}, ...this.object(part)),
    );
    return h("div", { class: "b-context" }, ...parts);
  }

  _actions(block, context) {
    const parts = block.elements.map((element) => this.element(block, element, context));
    return h("div", { class: "b-actions" }, ...parts);
  }

  _context_actions(block, context) {
    const parts = block.elements.map((element) => this.element(block, element, context));
    return h("div", { class: "b-context-actions" }, ...parts);
  }

  _image(block) {
    return h("div", { class: "b-image" }, link(block.image_url ?? "", block.alt_text ?? "image"));
  }

  _task_card(block) {
    const sources = (block.sources ?? []).map((s) => link(s.url ?? "", s.text ?? s.url ?? "source"));
    return h(
      "div",
      { class: `b-task ${block.status ?? ""}` },
      h("span", { class: "b-task-mark", "aria-hidden": true }, TASK[block.status] ?? "○"),
      h("span", {}, block.title ?? "", sources.length ? h("span", { class: "b-task-sources" }, ...sources) : null),
    );
  }

  _plan(block) {
    const tasks = (block.tasks ?? []).map((task) => this._task_card(task));
    // Open while something is to be watched, folded away afterwards.
    const open = (block.tasks ?? []).some((task) => ["pending", "in_progress"].includes(task.status));
    return h("details", { class: "b-plan", open }, h("summary", {}, block.title ?? "Plan"), ...tasks);
  }

  _alert(block) {
    return h("div", { class: "b-alert" }, ...this.object(block.text));
  }

  _rich_text(block) {
    return h("div", { class: "rich" }, ...block.elements.map((part) => this.#richPart(part)));
  }

  _table(block) {
    const cell = (c) => (c?.type === "rich_text" ? this._rich_text(c) : (c?.text ?? ""));
    const [head, ...body] = block.rows ?? [];
    return h(
      "div",
      { class: "table-scroll" },
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ...(head ?? []).map((c) => h("th", { scope: "col" }, cell(c))))),
        h("tbody", {}, ...body.map((row) => h("tr", {}, ...row.map((c) => h("td", {}, cell(c)))))),
      ),
    );
  }

  _input(block, context) {
    return context.input ? context.input(block) : h("div", { class: "b-unknown" }, "[input]");
  }

  #richPart(part) {
    const inside = (part.elements ?? []).map((element) => this.#richLeaf(element));
    switch (part.type) {
      case "rich_text_list": {
        const items = (part.elements ?? []).map((item) => h("li", {}, this.#richPart(item)));
        return h(part.style === "ordered" ? "ol" : "ul", {}, ...items);
      }
      case "rich_text_quote":
        return h("blockquote", {}, ...inside);
      case "rich_text_preformatted":
        return h("pre", { class: "code" }, ...inside);
      default:
        return h("p", {}, ...inside);
    }
  }

  #richLeaf(leaf) {
    let node;
    if (leaf.type === "link") node = link(leaf.url, leaf.text ?? leaf.url);
    else if (leaf.type === "user") node = this.text.mention(leaf.user_id);
    else if (leaf.type === "emoji") node = emoji(leaf.name);
    else if (leaf.type === "channel") node = `#${this.text.directory.channel(leaf.channel_id) ?? "channel"}`;
    else if (leaf.type === "broadcast") node = `@${leaf.range}`;
    else node = leaf.text ?? "";
    const style = leaf.style ?? {};
    if (style.code) node = h("code", {}, node);
    if (style.bold) node = h("strong", {}, node);
    if (style.italic) node = h("em", {}, node);
    if (style.strike) node = h("s", {}, node);
    return node;
  }

  element(block, element, context) {
    switch (element.type) {
      case "button":
        return this.#button(block, element, context);
      case "feedback_buttons":
        return this.#feedback(block, element, context);
      case "icon_button":
        return h(
          "button",
          {
            type: "button",
            class: "icon-button",
            "aria-label": element.accessibility_label ?? element.text?.text ?? "Delete",
            onclick: (event) => context.act(block, element, null, event.currentTarget),
          },
          "🗑",
        );
      case "overflow":
        return this.#choice(block, element, context, "⋯");
      case "static_select":
      case "external_select":
      case "users_select":
      case "radio_buttons":
      case "checkboxes":
        return context.field
          ? context.field(block, element)
          : this.#choice(block, element, context, element.placeholder?.text ?? "Choose…");
      case "image":
        return h("span", { class: "b-thumb", role: "img", "aria-label": element.alt_text ?? "image" }, "▣");
      default:
        return context.field ? context.field(block, element) : h("span", {}, `[${element.type}]`);
    }
  }

  #button(block, element, context) {
    const style = element.style ? ` ${element.style}` : "";
    return h(
      "button",
      {
        type: "button",
        class: `button${style}`,
        "data-action": element.action_id,
        "aria-label": element.accessibility_label,
        onclick: (event) => {
          if (element.url) window.open(element.url, "_blank", "noopener,noreferrer");
          if (element.confirm && !window.confirm(confirmText(element.confirm))) return;
          context.act(block, element, null, event.currentTarget);
        },
      },
      this.text.plain(element.text.text),
    );
  }

  #feedback(block, element, context) {
    const chosen = context.chosen?.(element);
    const side = (name, glyph) => {
      const button = element[`${name}_button`];
      return h(
        "button",
        {
          type: "button",
          class: "feedback",
          "data-action": element.action_id,
          "data-side": name,
          "aria-pressed": String(chosen === name),
          "aria-label": button.accessibility_label ?? button.text.text,
          title: button.text.text,
          onclick: (event) => context.act(block, element, name, event.currentTarget),
        },
        glyph,
      );
    };
    return h(
      "span",
      { class: "feedback-pair", role: "group", "aria-label": "Feedback" },
      side("positive", "👍"),
      side("negative", "👎"),
    );
  }

  #choice(block, element, context, prompt) {
    const options = element.options ?? [];
    return h(
      "select",
      {
        class: "choice",
        "data-action": element.action_id,
        "aria-label": prompt,
        onchange: (event) => {
          if (event.target.value) context.act(block, element, event.target.value, event.target);
        },
      },
      h("option", { value: "" }, prompt),
      ...options.map((option) =>
        h(
          "option",
          { value: option.value, selected: element.initial_option?.value === option.value },
          this.text.plain(option.text.text),
        ),
      ),
    );
  }
}

function confirmText(confirm) {
  return [confirm.title?.text, confirm.text?.text].filter(Boolean).join("\n\n");
}
