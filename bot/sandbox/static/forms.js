// Inputs of modals and App Home: built from Block Kit, read back as plain values.

import { h } from "./dom.js";

export class Form {
  // `blocks` renders texts; `people` lists users for users_select; `changed` is told of dispatching
  // inputs.
  constructor(blocks, people, changed) {
    this.blocks = blocks;
    this.people = people;
    this.changed = changed;
    this.readers = new Map();
    this.kept = new Map();
  }

  // Forgets the elements but keeps what was typed, so that an updated view does not lose it.
  renew() {
    for (const [key, reader] of this.readers) this.kept.set(key, reader());
    this.readers.clear();
  }

  values() {
    return Object.fromEntries([...this.readers].map(([key, reader]) => [key, reader()]));
  }

  input(block, errors) {
    const element = block.element;
    const id = `f-${block.block_id}-${element.action_id}`;
    const group = element.type === "checkboxes" || element.type === "radio_buttons";
    const error = errors?.[block.block_id];
    const label = [this.blocks.text.plain(block.label.text), block.optional ? h("span", { class: "optional" }, " (optional)") : null];
    const control = this.control(block, element, id, Boolean(error));
    const rest = [
      error ? h("p", { class: "field-error", id: `${id}-error`, role: "alert" }, error) : null,
      block.hint ? h("p", { class: "hint" }, this.blocks.text.plain(block.hint.text)) : null,
    ];
    return group
      ? h("fieldset", { class: "field", "data-block": block.block_id }, h("legend", {}, ...label), control, ...rest)
      : h("div", { class: "field", "data-block": block.block_id }, h("label", { for: id }, ...label), control, ...rest);
  }

  control(block, element, id = `f-${block.block_id}-${element.action_id}`, bad = false) {
    const key = `${block.block_id}/${element.action_id}`;
    const kept = this.kept.get(key);
    const make = this[`_${element.type}`] ?? this._plain_text_input;
    const { node, read } = make.call(this, element, id, kept);
    this.readers.set(key, read);
    const target = node.matches("input,textarea,select") ? node : null;
    if (target) {
      target.id = id;
      if (block.type === "input") target.removeAttribute("aria-label"); // its <label> names it
      if (bad) {
        target.setAttribute("aria-invalid", "true");
        target.setAttribute("aria-describedby", `${id}-error`);
      }
    }
    const dispatches = block.type === "actions" || block.type === "section" || block.dispatch_action;
    if (dispatches) node.addEventListener("change", () => this.changed(block, element, read()));
    return node;
  }

  _plain_text_input(element, id, kept) {
    const value = kept ?? element.initial_value ?? "";
    const common = {
      placeholder: element.placeholder?.text,
      maxlength: element.max_length ?? 3000,
      "aria-label": element.placeholder?.text,
      autofocus: element.focus_on_load,
      value,
    };
    const types = { number_input: "number", email_text_input: "email", url_text_input: "url" };
    const node = element.multiline
      ? h("textarea", { ...common, rows: Math.min(12, Math.max(4, String(value).split("\n").length + 1)) })
      : h("input", { ...common, type: types[element.type] ?? "text" });
    return { node, read: () => node.value };
  }

  _checkboxes(element, id, kept) {
    return this.#ticks(element, id, "checkbox", kept ?? (element.initial_options ?? []).map((o) => o.value));
  }

  _radio_buttons(element, id, kept) {
    const first = element.initial_option ? [element.initial_option.value] : [];
    const made = this.#ticks(element, id, "radio", kept ? [kept] : first);
    return { node: made.node, read: () => made.read()[0] ?? null };
  }

  #ticks(element, id, type, chosen) {
    const boxes = element.options.map((option) =>
      h("input", { type, name: id, value: option.value, checked: chosen.includes(option.value) }),
    );
    const rows = boxes.map((box, at) => {
      const option = element.options[at];
      const note = option.description ? h("span", { class: "hint" }, ...this.blocks.object(option.description)) : null;
      return h("label", { class: "tick" }, box, h("span", {}, ...this.blocks.object(option.text), note));
    });
    return {
      node: h("div", { class: "ticks" }, ...rows),
      read: () => boxes.filter((box) => box.checked).map((box) => box.value),
    };
  }

  _static_select(element, id, kept) {
    const options = [...(element.options ?? []), ...(element.option_groups ?? []).flatMap((g) => g.options)];
    const rows = options.map((o) => [o.value, this.blocks.text.plain(o.text.text)]);
    return this.#select(element, rows, kept ?? element.initial_option?.value);
  }

  _users_select(element, id, kept) {
    const rows = this.people().map((user) => [user.id, user.real_name]);
    return this.#select(element, rows, kept ?? element.initial_user);
  }

  #select(element, rows, chosen) {
    const node = h(
      "select",
      { "aria-label": element.placeholder?.text ?? "Choose" },
      h("option", { value: "" }, element.placeholder?.text ?? "Choose…"),
      ...rows.map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
    );
    return { node, read: () => node.value || null };
  }

  _multi_static_select(element, id, kept) {
    const chosen = kept ?? (element.initial_options ?? []).map((option) => option.value);
    const node = h(
      "select",
      { multiple: true, size: Math.min(6, element.options.length), "aria-label": element.placeholder?.text },
      ...element.options.map((o) =>
        h("option", { value: o.value, selected: chosen.includes(o.value) }, this.blocks.text.plain(o.text.text)),
      ),
    );
    return { node, read: () => [...node.selectedOptions].map((option) => option.value) };
  }

  _datepicker(element, id, kept) {
    const node = h("input", { type: "date", value: kept ?? element.initial_date ?? "" });
    return { node, read: () => node.value || null };
  }
}
