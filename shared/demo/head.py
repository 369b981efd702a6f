"""What the head of every page holds: the language, settled before Gradio reads the browser's."""

from __future__ import annotations

from shared.demo.i18n import COOKIE, LANGUAGES

_SCRIPT = """
(() => {
  const languages = LANGUAGES, name = "COOKIE";
  const asked = new URLSearchParams(location.search).get("lang");
  if (languages.includes(asked)) {
    document.cookie = `${name}=${asked};path=/;max-age=31536000;samesite=lax`;
  }
  const chosen = languages.includes(asked)
    ? asked : (document.cookie.match(new RegExp(`(?:^|; )${name}=([a-z]{2})`)) || [])[1];
  const first = (navigator.languages || [navigator.language]).map((tag) => tag.slice(0, 2).toLowerCase());
  const language = chosen || first.find((tag) => languages.includes(tag)) || "en";
  Object.defineProperty(navigator, "language", { get: () => language, configurable: true });
  Object.defineProperty(navigator, "languages", { get: () => [language], configurable: true });
  document.documentElement.lang = language;
})();
"""

HEAD = "<script>" + _SCRIPT.replace("LANGUAGES", str(list(LANGUAGES))).replace("COOKIE", COOKIE) + "</script>"
"""Inline, since it must run before Gradio's deferred modules."""
