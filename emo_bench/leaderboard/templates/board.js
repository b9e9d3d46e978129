document.getElementById("only-reproduced")?.addEventListener("input", (event) => {
  document.body.classList.toggle("only-reproduced", event.target.checked);
});
