// What scrolls inside itself can be reached, and so scrolled, from the keyboard.
(() => {
  const scrolls = "mjx-container, pre, figure, .cell_output, .output, .pst-scrollable-table-container, div.math";
  const reach = () =>
    document.querySelectorAll(scrolls).forEach((part) => {
      if (part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).overflowX != "visible") part.tabIndex = 0;
    });
  const afterMath = () => (window.MathJax && MathJax.startup ? MathJax.startup.promise.then(reach) : reach());
  window.addEventListener("load", afterMath);
  window.addEventListener("resize", reach);
})();
