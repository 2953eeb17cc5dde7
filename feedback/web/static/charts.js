// Draws every [data-chart]: a Vega-Lite specification made by the server, which holds data and
// names of the style sheet's variables. Expressions are interpreted, never compiled, so the
// pages need no 'unsafe-eval'. Colours are variables inside the drawing: dark mode and print
// change them without drawing anew.
"use strict";

(() => {
  const font = getComputedStyle(document.body).fontFamily;

  const config = {
    font,
    view: { stroke: null },
    axis: {
      labelColor: "var(--soft)", titleColor: "var(--soft)", gridColor: "var(--line)",
      domainColor: "var(--line)", tickColor: "var(--line)", labelFontSize: 12, titleFontSize: 12,
      titleFontWeight: "normal", labelLimit: 230,
    },
    axisY: { grid: true, domain: false, ticks: false, labelPadding: 8 },
    axisX: { grid: false },
    axisBand: { grid: false },
    legend: { labelColor: "var(--ink)", titleColor: "var(--soft)", labelFontSize: 12 },
    text: { fontSize: 12 },
  };

  const options = {
    actions: false,
    renderer: "svg",
    ast: true,
    defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
    config,
  };

  function draw(plot) {
    if (plot.dataset.drawn) return;
    plot.dataset.drawn = "yes";
    vegaEmbed(plot, JSON.parse(plot.dataset.chart), options).catch((error) => {
      // The table below the chart holds the same figures: open it.
      console.error(error);
      plot.hidden = true;
      plot.parentElement.querySelector("details").open = true;
    });
  }

  function drawAll() {
    document.querySelectorAll("[data-chart]").forEach(draw);
  }

  document.addEventListener("htmx:after:swap", drawAll);
  drawAll();
})();
