"""The two switches of the bar, language and colour scheme, as HTML that needs the page script."""

from __future__ import annotations

from shared.demo.language import both


def switches_html() -> str:
    """Links to both languages (each named in its own) and the button between light and dark."""
    scheme = both("Light or dark", "Claro u oscuro")
    return (
        '<span class="g-switches"><span class="g-switch" role="group" aria-label="Language · Idioma">'
        '<a href="?lang=en" data-lang="en" hreflang="en" lang="en">English</a>'
        '<a href="?lang=es" data-lang="es" hreflang="es" lang="es">Español</a></span>'
        '<button type="button" class="g-theme"><svg viewBox="0 0 24 24" aria-hidden="true">'
        '<path d="M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm0 2.2v13.6a6.8 6.8 0 0 1 0-13.6Z"/></svg>'
        f'<span class="g-hidden">{scheme}</span></button></span>'
    )
