const onlyReproduced = document.getElementById("only-reproduced");
const showReproduced = () => document.body.classList.toggle("only-reproduced", onlyReproduced?.checked === true);
onlyReproduced?.addEventListener("input", showReproduced);
addEventListener("pageshow", showReproduced);
