// The door of a server that asks for a token: a dialog of the page.

const at = (id) => document.getElementById(id);

/** Opens the door; gives what was entered, or nothing where it was shut again. */
export async function askAtDoor() {
  const door = at("door");
  at("token").value = "";
  door.showModal();
  await new Promise((resolve) => door.addEventListener("close", resolve, { once: true }));
  return at("token").value;
}
