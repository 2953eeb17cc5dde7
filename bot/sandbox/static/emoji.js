// The emoji names that a support workspace meets; others stay as :name:.

export const EMOJI = {
  "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", eyes: "👀", white_check_mark: "✅",
  heavy_check_mark: "✔️", x: "❌", warning: "⚠️", bulb: "💡", hourglass_flowing_sand: "⏳",
  speech_balloon: "💬", pencil2: "✏️", memo: "📝", rocket: "🚀", tada: "🎉", raised_hands: "🙌",
  raising_hand: "🙋", book: "📖", books: "📚", link: "🔗", lock: "🔒", mag: "🔍", robot_face: "🤖",
  heart: "❤️", smile: "😄", no_entry: "⛔", question: "❓", bar_chart: "📊", seedling: "🌱",
  sparkles: "✨", wave: "👋", busts_in_silhouette: "👥", bust_in_silhouette: "👤", bell: "🔔",
  clipboard: "📋", page_facing_up: "📄", mortar_board: "🎓", label: "🏷️", bow: "🙇", pray: "🙏",
  hourglass: "⌛", arrows_counterclockwise: "🔄", rotating_light: "🚨", thinking_face: "🤔",
  ok_hand: "👌", fire: "🔥", star: "⭐", inbox_tray: "📥", outbox_tray: "📤", calendar: "📅",
  snowflake: "❄️", shield: "🛡️", performing_arts: "🎭", large_green_circle: "🟢",
  large_yellow_circle: "🟡", red_circle: "🔴", large_blue_circle: "🔵", white_circle: "⚪",
  information_source: "ℹ️", sunny: "☀️", rewind: "⏪", arrow_up: "⬆️",
};

export const QUICK = ["+1", "-1", "eyes", "white_check_mark", "tada", "heart"];

export function emoji(name) {
  return EMOJI[name.replace(/::skin-tone-\d$/, "")] ?? `:${name}:`;
}
