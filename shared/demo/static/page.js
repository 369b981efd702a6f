(options) => {
  const root = document.documentElement;
  const asked = new URLSearchParams(location.search).get("lang");
  const remember = (language) => {
    document.cookie = `${options.cookie}=${language};path=/;max-age=31536000;samesite=lax`;
  };
  if (options.languages.includes(asked)) remember(asked);
  const stored = (document.cookie.match(new RegExp(`(?:^|; )${options.cookie}=([a-z]{2})`)) || [])[1];
  const wanted = [asked, stored, ...(navigator.languages || []).map((tag) => tag.slice(0, 2).toLowerCase())];
  const language = wanted.find((tag) => options.languages.includes(tag)) || "en";
  root.lang = language;
  if (options.gallery) root.dataset.gallery = "";

  const system = matchMedia("(prefers-color-scheme: dark)");
  let theme = null;
  try { theme = localStorage.getItem("gallery_theme"); } catch { /* storage may be switched off */ }
  if (theme !== "light" && theme !== "dark") theme = null;
  if (theme) root.dataset.theme = theme;

  if (options.gradio) {
    Object.defineProperty(navigator, "language", { get: () => language, configurable: true });
    Object.defineProperty(navigator, "languages", { get: () => [language], configurable: true });
    const url = new URL(location.href);
    if (theme && url.searchParams.get("__theme") !== theme) {
      url.searchParams.set("__theme", theme);
      history.replaceState(history.state, "", url);
    }
  }

  const mark = () => {
    for (const link of document.querySelectorAll("[data-lang]")) {
      link.setAttribute("aria-current", String(link.dataset.lang === language));
    }
  };
  // Gradio draws its page after this script has run, and again when it likes.
  new MutationObserver(mark).observe(root, { childList: true, subtree: true });
  document.addEventListener("DOMContentLoaded", mark);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-lang]");
    if (link) {
      event.preventDefault();
      remember(link.dataset.lang);
      const url = new URL(location.href);
      url.searchParams.delete("lang");
      if (url.href === location.href) location.reload();
      else location.replace(url);
    }
    if (event.target.closest(".g-theme")) {
      const dark = theme ? theme === "dark" : system.matches;
      theme = dark ? "light" : "dark";
      try { localStorage.setItem("gallery_theme", theme); } catch { /* lasts for this page only */ }
      root.dataset.theme = theme;
      if (options.gradio) document.body.classList.toggle("dark", theme === "dark");
    }
  });
}
