"use strict";
// Runs at the end of a page of two runs, in Chromium (test_page_browser.c): what the page's own
// script and style do. The result is the text of the last element: "passed N", or what failed.
(() => {
  let n = 0;
  const check = (holds, what) => {
    n++;
    if (!holds) throw new Error(what);
  };
  const isShown = (element) => getComputedStyle(element).display !== "none" && element.offsetWidth > 0;
  const press = (element, key) =>
    element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));

  const toggles = () => {
    const gallery = document.querySelector("#gallery .gallery");
    const buttons = [...gallery.querySelectorAll(".bar button")];
    check(buttons.length === 6, "six toggles");
    check(isShown(gallery.querySelector(".bar")), "the toggles are shown");
    for (const button of buttons) {
      const panels = [...gallery.querySelectorAll(`.k-${button.dataset.layer}`)];
      check(panels.length === 4, `four panels of ${button.dataset.layer}`);
      check(panels.every(isShown), `${button.dataset.layer} is shown`);
      button.focus();
      check(document.activeElement === button, "a toggle takes the focus");
      button.click();
      check(button.getAttribute("aria-pressed") === "false", "a click releases the toggle");
      check(!panels.some(isShown), `${button.dataset.layer} is hidden`);
      button.click();
      check(button.getAttribute("aria-pressed") === "true", "a second click presses it");
      check(panels.every(isShown), `${button.dataset.layer} is shown again`);
    }
  };

  const pictures = async () => {
    const images = [...document.querySelectorAll("#gallery img")];
    check(images.length === 20, "twenty overlays");
    for (const image of images) {
      check(image.complete && image.naturalWidth >= 200, "an overlay has pixels");
      check(image.alt.includes(" of case_"), "an overlay has a text");
    }
    const url = getComputedStyle(document.querySelector("#gallery .picture")).backgroundImage
      .replace(/^url\("?|"?\)$/g, "");
    const picture = new Image();
    await new Promise((resolve, reject) => {
      picture.onload = resolve;
      picture.onerror = () => reject(new Error("the picture cannot be read"));
      picture.src = url;
    });
    check(picture.naturalWidth === 20 && picture.naturalHeight === 24, "the picture has its size");
  };

  const charts = () => {
    const plot = document.querySelector("#curves .plot");
    const tip = plot.querySelector(".tip");
    check(plot.tabIndex === 0 && plot.getAttribute("role") === "slider", "a chart takes the focus");
    check(tip.hidden, "no value is shown at first");
    plot.focus();
    check(!tip.hidden, "the focus shows a value");
    const last = "epoch 5; baseline: 0.5; adele: 0.75";
    check(plot.getAttribute("aria-valuetext") === last, plot.getAttribute("aria-valuetext"));
    press(plot, "ArrowLeft");
    press(plot, "ArrowLeft");
    check(plot.getAttribute("aria-valuetext") === "epoch 3; baseline: 0.75; adele: 0.75", "two steps left");
    check(tip.textContent === "epoch 3baseline: 0.75adele: 0.75", "the values are shown");
    press(plot, "Home");
    press(plot, "ArrowLeft");
    check(plot.getAttribute("aria-valuenow") === "1", "the first epoch is the end");
    press(plot, "End");
    check(plot.getAttribute("aria-valuetext") === last, "End");
    press(plot, "Escape");
    check(tip.hidden, "Escape hides the value");
    plot.blur();
    const box = plot.querySelector("svg").getBoundingClientRect();
    const x = box.left + box.width * (440 + 0.25 * 3460) / 4000;
    plot.dispatchEvent(new PointerEvent("pointermove", { clientX: x, clientY: box.top + 50, bubbles: true }));
    check(!tip.hidden && tip.textContent.startsWith("epoch 2"), "the pointer shows epoch 2");
    plot.dispatchEvent(new PointerEvent("pointerleave", { bubbles: false }));
    check(tip.hidden, "the value goes with the pointer");
  };

  // Wide tables scroll on their own; the page never scrolls sideways.
  const widths = () => {
    for (const width of ["375px", "1280px"]) {
      document.body.style.width = width;
      check(document.body.scrollWidth <= parseInt(width, 10), `the page fits into ${width}`);
    }
    document.body.style.width = "";
  };

  // A table that is wider than the page has shadows where it goes on, and its head wraps.
  const hints = () => {
    document.body.style.width = "375px";
    const scrolls = [...document.querySelectorAll(".scroll")];
    check(scrolls.some((element) => element.scrollWidth > element.clientWidth), "a table scrolls");
    for (const element of scrolls) {
      const attachments = getComputedStyle(element).backgroundAttachment;
      check(attachments.startsWith("local, local, scroll, scroll"), `the shadows: ${attachments}`);
    }
    document.body.style.width = "";
  };

  const print = () => {
    const details = [...document.querySelectorAll("details")];
    check(details.length >= 4 && !details.some((element) => element.open), "folded at first");
    window.dispatchEvent(new Event("beforeprint"));
    check(details.every((element) => element.open), "all is open in print");
    window.dispatchEvent(new Event("afterprint"));
    check(!details.some((element) => element.open), "folded again");
  };

  const result = document.createElement("p");
  const run = async () => {
    toggles();
    await pictures();
    charts();
    widths();
    hints();
    print();
  };
  window.addEventListener("load", () => run()
    .then(() => { result.textContent = `result: passed ${n}`; },
      (error) => { result.textContent = `result: failed: ${error.message}`; })
    .then(() => document.body.append(result)));
})();
