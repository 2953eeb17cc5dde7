// One message: avatar, name, body, blocks, reactions, thread line, tools.

import { h } from "./dom.js";
import { emoji, QUICK } from "./emoji.js";

export function clockTime(ts) {
  return new Date(Number(ts) * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

export function day(ts) {
  const options = { weekday: "long", month: "long", day: "numeric" };
  return new Date(Number(ts) * 1000).toLocaleDateString([], options);
}

export function avatar(user, small = false) {
  const name = user?.real_name ?? "?";
  const initials = name.split(/\s+/).map((word) => word[0]).slice(0, 2).join("");
  const hue = [...(user?.id ?? "")].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) % 8, 7);
  const look = user?.is_bot ? "bot" : `hue${hue}`;
  return h("span", { class: `avatar ${look}${small ? " small" : ""}`, "aria-hidden": true }, user?.is_bot ? "U" : initials);
}

export class MessageView {
  // `room` offers: user(id), me(), blocks, text, act(message, ...), and the tools' callbacks.
  constructor(room) {
    this.room = room;
  }

  render(message, { inThread = false, compact = false } = {}) {
    const user = this.room.user(message.user);
    const streaming = message.streaming_state === "in_progress";
    const name = user?.real_name ?? message.user;
    const time = clockTime(message.ts);
    const head = compact
      ? null
      : h(
          "div",
          { class: "m-head" },
          h("span", { class: "m-name" }, name),
          user?.is_bot ? h("span", { class: "badge" }, "APP") : null,
          user?.profile?.title && !user.is_bot ? h("span", { class: "m-title" }, user.profile.title) : null,
          h("time", { class: "m-time" }, time),
        );
    const classes = ["message"];
    if (compact) classes.push("compact");
    if (message.is_ephemeral) classes.push("ephemeral");
    if (streaming) classes.push("streaming");
    return h(
      "article",
      { class: classes.join(" "), "data-ts": message.ts, "aria-label": `${name}, ${time}`, tabindex: 0 },
      compact ? h("time", { class: "m-side-time" }, time) : avatar(user),
      h(
        "div",
        { class: "m-body" },
        message.is_ephemeral ? h("div", { class: "only-you" }, "👁 Only visible to you") : null,
        head,
        ...this.#content(message),
        this.#reactions(message),
        inThread ? null : this.#threadLine(message),
      ),
      message.is_ephemeral || message.subtype === "tombstone" ? null : this.#tools(message, inThread),
    );
  }

  #content(message) {
    if (message.subtype === "tombstone") return [h("p", { class: "gone" }, message.text)];
    const typed = (message.blocks ?? []).length === 1 && message.blocks[0].type === "rich_text" && !message.bot_id;
    const edited = message.edited && !message.bot_id ? h("span", { class: "edited" }, "(edited)") : null;
    if (!message.blocks?.length || typed) {
      return [h("div", { class: "rich" }, ...this.room.text.mrkdwn(message.text), edited)];
    }
    const context = {
      act: (block, element, value, source) => this.room.act(message, block, element, value, source),
      chosen: (element) => this.room.chosen(message, element),
    };
    const ended = message.streaming_state === "stopped_by_user";
    const stopped = ended ? h("p", { class: "stopped" }, "◼ Stopped before it was finished") : null;
    return [...this.room.blocks.all(message.blocks, context), stopped, edited];
  }

  #reactions(message) {
    if (!message.reactions?.length) return null;
    const pills = message.reactions.map((reaction) => {
      const mine = reaction.users.includes(this.room.me());
      const names = reaction.users.map((id) => this.room.user(id)?.real_name ?? id).join(", ");
      return h(
        "button",
        {
          type: "button",
          class: "reaction",
          title: `${names} reacted with :${reaction.name}:`,
          "aria-pressed": String(mine),
          onclick: () => this.room.react(message, reaction.name, !mine),
        },
        `${emoji(reaction.name)} ${reaction.count}`,
      );
    });
    return h("div", { class: "reactions" }, ...pills);
  }

  #threadLine(message) {
    if (!message.reply_count) return null;
    const faces = (message.reply_users ?? []).slice(0, 4).map((id) => avatar(this.room.user(id), true));
    const count = message.reply_count === 1 ? "1 reply" : `${message.reply_count} replies`;
    return h(
      "button",
      { type: "button", class: "thread-line", onclick: () => this.room.openThread(message.ts) },
      ...faces,
      h("strong", {}, count),
      h("span", { class: "m-time" }, `last at ${clockTime(message.latest_reply)}`),
    );
  }

  #tools(message, inThread) {
    const tool = (label, glyph, onclick) =>
      h("button", { type: "button", class: "tool", title: label, "aria-label": label, onclick }, glyph);
    const quick = QUICK.slice(0, 3).map((name) =>
      tool(`React with ${name}`, emoji(name), () => this.room.react(message, name, !this.#reacted(message, name))),
    );
    const own = message.user === this.room.me();
    const entries = [
      ...this.room.shortcuts().map((s) => ({ label: s.name, run: () => this.room.shortcut(message, s) })),
      ...(own ? [
        { label: "Edit message", run: () => this.room.edit(message) },
        { label: "Delete message", run: () => this.room.remove(message) },
      ] : []),
    ];
    const menu = entries.length
      ? h(
          "select",
          {
            class: "tool menu",
            "aria-label": "More actions",
            title: "More actions",
            onchange: (event) => {
              const entry = entries[Number(event.target.value)];
              event.target.value = "";
              entry?.run();
            },
          },
          h("option", { value: "" }, "⋯"),
          ...entries.map((entry, at) => h("option", { value: at }, entry.label)),
        )
      : null;
    return h(
      "div",
      { class: "tools", role: "toolbar", "aria-label": "Message actions" },
      ...quick,
      inThread ? null : tool("Reply in thread", "💬", () => this.room.openThread(message.thread_ts ?? message.ts)),
      menu,
    );
  }

  #reacted(message, name) {
    return (message.reactions ?? []).some((r) => r.name === name && r.users.includes(this.room.me()));
  }
}
