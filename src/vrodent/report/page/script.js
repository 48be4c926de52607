"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // Figures name colours as CSS variables, so that they follow the page from light to dark.
  const resolve = (value, styles) => {
    if (typeof value === "string") {
      const name = /^var\((--[\w-]+)\)$/.exec(value);
      return name ? styles.getPropertyValue(name[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map((item) => resolve(item, styles));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, styles)]));
    }
    return value;
  };

  const draw = async () => {
    const styles = getComputedStyle(document.documentElement);
    for (const source of document.querySelectorAll("script[data-figure]")) {
      const place = document.getElementById(source.dataset.figure);
      const figure = resolve(JSON.parse(source.textContent), styles);
      const narrow = place.clientWidth < 480;
      if (narrow && figure.narrow) Object.assign(figure.layout, figure.narrow);
      await Plotly.react(place, figure.data, figure.layout, {
        responsive: true,
        displaylogo: false,
        displayModeBar: narrow ? false : "hover",
        modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
        toImageButtonOptions: { format: "svg", filename: source.dataset.figure },
      });
    }
    document.documentElement.dataset.drawn = "yes";
  };

  // What the rat sees follows the film beside it.
  const follow = (film) => {
    const eye = film.parentElement.querySelector(".eye video");
    if (!eye) return;
    const align = () => { if (Math.abs(eye.currentTime - film.currentTime) > 0.08) eye.currentTime = film.currentTime; };
    film.addEventListener("play", () => { align(); eye.play().catch(() => {}); });
    film.addEventListener("pause", () => { eye.pause(); align(); });
    film.addEventListener("ratechange", () => { eye.playbackRate = film.playbackRate; });
    film.addEventListener("seeked", align);
    film.addEventListener("timeupdate", align);
  };

  // The numbers of a table as a file.
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const offer = (button) => {
    button.addEventListener("click", () => {
      const table = document.getElementById(button.dataset.table);
      const lines = [...table.rows].map((row) => [...row.cells].map((cell) => quoted(cell.textContent.trim())).join(","));
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
      link.download = `${button.dataset.table}.csv`;
      link.click();
      URL.revokeObjectURL(link.href);
    });
  };

  document.querySelectorAll(".stage > video").forEach(follow);
  document.querySelectorAll("button[data-table]").forEach(offer);
  draw();
  dark.addEventListener("change", draw);
})();
