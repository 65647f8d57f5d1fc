"use strict";
const $ = id => document.getElementById(id);

function element(name, text, more = {}) {
  const node = Object.assign(document.createElement(name), more);
  if (text !== undefined) node.textContent = text;
  return node;
}

async function ask(method, address, body) {
  const json = body !== undefined && !(body instanceof Blob);
  const answer = await fetch(address, { method, body: json ? JSON.stringify(body) : body,
    headers: json ? { "content-type": "application/json" } : {} })
    .catch(() => { throw new Error("the app does not answer; is it still running?"); });
  const fields = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(fields.error || `the app answered with ${answer.status}`);
  return fields;
}

function showError(error) {
  $("error").textContent = error ? error.message : "";
  $("error").hidden = !error;
}

// an input for a file: drop it or choose it

function dropField(kind, chosen) {
  const drop = $(`${kind}-drop`);
  $(kind).addEventListener("change", () => chosen([...$(kind).files]));
  for (const name of ["dragover", "dragleave", "drop"]) drop.addEventListener(name, event => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") chosen([...event.dataTransfer.files]);
  });
}

async function upload(kind, file, most) {  // the app's answer; null where the file is refused
  const drop = $(`${kind}-drop`), say = text => { drop.querySelector("small").textContent = text; };
  showError(null);
  drop.classList.remove("ready");
  drop.querySelector("b").textContent = file.name;
  say("uploading");
  try {
    if (file.size > most) throw new Error(`${file.name} is too large; the limit here is ${most >> 20} MB`);
    const answer = await ask("PUT", `/files/${kind}/${encodeURIComponent(file.name)}`, file);
    drop.classList.add("ready");
    say("ready");
    return answer;
  } catch (error) {
    say("refused");
    showError(error);
    return null;
  }
}

// how the mouth is made

const library = [];  // names of uploads

function offerGenerators({ generators, checkpoints, persons, strength, limits }) {
  const offer = (field, names) => {
    for (const [name, about] of Object.entries(names))
      $(field).append(element("option", name, { value: name, title: about }));
    const hint = () => { $(`${field}-hint`).textContent = names[$(field).value] || ""; };
    $(field).addEventListener("change", hint);
    hint();
  };
  offer("generator", generators);
  offer("checkpoint", checkpoints);
  $("person").append(element("option", "the video's own mouth", { value: "" }));
  for (const name of persons) $("person").append(element("option", name, { value: name }));
  $("person-field").hidden = !persons.length;
  $("person").addEventListener("change", () => { $("library-drop").hidden = $("person").value !== ""; });
  const shown = () => {
    for (const name of ["mesh", "lipgan"])
      document.querySelector(`.of-${name}`).hidden = $("generator").value !== name;
  };
  $("generator").addEventListener("change", shown);
  shown();
  const moves = () => { $("strength-said").textContent = `${$("strength").value} times the usual`; };
  $("strength").value = strength;
  $("strength").addEventListener("input", moves);
  moves();
  dropField("library", async files => {
    library.length = 0;
    const answers = [];
    for (const file of files) answers.push(await upload("library", file, limits.upload_mb * 2 ** 20));
    if (!answers.every(Boolean)) return;
    library.push(...answers.map(answer => answer.file));
    if (files.length > 1) $("library-drop").querySelector("b").textContent = `${files.length} videos`;
  });
}

function how() {  // what the app is asked for
  return $("generator").value === "mesh"
    ? { generator: "mesh", strength: $("strength").value, person: $("person").value || null,
        library: ($("person").value ? "" : library.join(" ")) || null }
    : { generator: "lipgan", checkpoint: $("checkpoint").value };
}
