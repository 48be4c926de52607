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

  const draw = async (source) => {
    const place = document.getElementById(source.dataset.figure);
    const figure = resolve(JSON.parse(source.textContent), getComputedStyle(document.documentElement));
    const narrow = place.clientWidth < 480;
    if (narrow && figure.narrow) Object.assign(figure.layout, figure.narrow);
    place.dataset.seen = "yes";
    await Plotly.react(place, figure.data, figure.layout, {
      responsive: true,
      displaylogo: false,
      displayModeBar: narrow ? false : "hover",
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
      toImageButtonOptions: { format: "svg", filename: source.dataset.figure },
    });
    if (figure.preview) preview(place, figure.preview);
  };

  // Pointing at a region of the behaviour map shows its clip beside the map.
  const preview = (place, kind) => {
    if (place.dataset.wired) return;
    place.dataset.wired = "yes";
    const box = document.getElementById(`${kind}-preview`);
    const show = ({ points }) => {
      const card = document.getElementById(`${kind}-${points[0].customdata}`);
      if (!card || box.dataset.shown === card.id) return;
      const copy = card.cloneNode(true);
      copy.removeAttribute("id");
      box.dataset.shown = card.id;
      box.replaceChildren(copy);
      copy.querySelectorAll("video").forEach((film) => { film.muted = true; film.play().catch(() => {}); });
    };
    place.on("plotly_hover", show);
    place.on("plotly_click", show);
  };

  // A figure is drawn when the reader comes near it: the page opens at once, however many there are.
  const sources = [...document.querySelectorAll("script[data-figure]")];
  const sourceOf = new Map(sources.map((source) => [document.getElementById(source.dataset.figure), source]));
  const near = new IntersectionObserver((entries) => {
    const fresh = entries.filter((entry) => entry.isIntersecting && !entry.target.dataset.seen);
    Promise.all(fresh.map((entry) => draw(sourceOf.get(entry.target)))).then(() => { document.documentElement.dataset.drawn = "yes"; });
  }, { rootMargin: "600px" });
  const drawAll = async () => {
    for (const [place, source] of sourceOf) if (!place.dataset.seen) await draw(source);
  };
  const redraw = async () => {
    for (const [place, source] of sourceOf) if (place.dataset.seen) await draw(source);
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
      hand(lines.join("\n") + "\n", `${button.dataset.table}.csv`);
    });
  };

  // The figure as a picture, and the numbers it draws.
  const cells = (trace) => {
    if (Array.isArray(trace.z)) {
      return trace.z.flatMap((row, i) => row.map((z, j) => [trace.y ? trace.y[i] : i, trace.x ? trace.x[j] : j, z]));
    }
    const low = trace.error_x || trace.error_y || {};
    return (trace.x || []).map((x, i) => [x, trace.y[i], (low.arrayminus || [])[i] ?? "", (low.array || [])[i] ?? ""]);
  };
  const hand = (text, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  const save = (button) => {
    const name = button.dataset.of;
    button.addEventListener("click", async () => {
      if (button.dataset.figureSave === "svg") {
        const place = document.getElementById(name);
        if (!place.dataset.seen) await draw(sourceOf.get(place));
        Plotly.downloadImage(place, { format: "svg", filename: name, width: place.clientWidth, height: place.clientHeight });
        return;
      }
      const figure = JSON.parse(document.querySelector(`script[data-figure="${name}"]`).textContent);
      const matrix = figure.data.some((trace) => Array.isArray(trace.z));
      const head = matrix ? ["series", "row", "column", "value"] : ["series", "x", "y", "interval below", "interval above"];
      const lines = figure.data.flatMap((trace, i) => cells(trace).map((row) => [trace.name ?? `series ${i + 1}`, ...row]));
      hand([head, ...lines].map((row) => row.map((cell) => quoted(String(cell ?? ""))).join(",")).join("\n") + "\n", `${name}.csv`);
    });
  };

  document.querySelectorAll("button[data-figure-save]").forEach(save);
  document.querySelectorAll(".stage > video").forEach(follow);
  document.querySelectorAll("button[data-table]").forEach(offer);
  for (const place of sourceOf.keys()) near.observe(place);
  dark.addEventListener("change", redraw);
  window.addEventListener("beforeprint", drawAll);
  window.drawAll = drawAll;
})();
