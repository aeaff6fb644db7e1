// The password is asked for once the address is known: many addresses sign in with another provider.
const field = document.getElementById("password-field");
const email = document.getElementById("email");
const password = document.getElementById("password");
if (document.querySelector("form#login[data-email-first]") && field && email.value === "" && password.value === "") {
  field.hidden = true;
  // A password manager that fills the field in shows it.
  password.addEventListener("input", () => { field.hidden = false; });
}
