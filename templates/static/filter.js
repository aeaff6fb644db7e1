// Filters the organizations while typing; without this script the search is a GET.
const search = document.getElementById("org-search");
const input = document.getElementById("q");
const none = document.getElementById("org-none");
const choices = [...document.querySelectorAll(".choices > li")];

const filter = () => {
  const query = input.value.trim().toLowerCase();
  let found = 0;
  for (const choice of choices) {
    const button = choice.querySelector("button");
    const name = choice.querySelector("bdi");
    const text = `${name.title || name.textContent} ${button.value}`.toLowerCase();
    choice.hidden = !text.includes(query);
    if (!choice.hidden) found++;
  }
  none.hidden = found > 0;
};

// When the server has filtered already, the page does not hold the rest.
if (!new URLSearchParams(location.search).get("q")) {
  input.addEventListener("input", filter);
  search.addEventListener("submit", (event) => {
    event.preventDefault();
    const visible = choices.filter((choice) => !choice.hidden);
    if (visible.length === 1) visible[0].querySelector("button").focus();
  });
}
