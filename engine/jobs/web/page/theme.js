// Light, dark, or as the system is; the choice is kept in localStorage.

const NAME = "video-pipeline-theme";
const CHOICES = ["system", "light", "dark"];
const control = document.getElementById("theme");

function current() {
  const kept = localStorage.getItem(NAME);
  return CHOICES.includes(kept) ? kept : "system";
}

function apply() {
  const choice = current();
  if (choice === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  control.textContent = `Theme: ${choice}`;
}

export function nextTheme() {
  localStorage.setItem(NAME, CHOICES[(CHOICES.indexOf(current()) + 1) % CHOICES.length]);
  apply();
}

control.addEventListener("click", nextTheme);
apply();
