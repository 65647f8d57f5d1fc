"use strict";
const $ = id => document.getElementById(id);

function element(name, text, more = {}) {
  const made = Object.assign(document.createElement(name), more);
  if (text !== undefined) made.textContent = text;
  return made;
}

async function ask(method, address, body) {
  const json = body !== undefined && !(body instanceof Blob);
  const answer = await fetch(address, { method, body: json ? JSON.stringify(body) : body,
    headers: json ? { "content-type": "application/json" } : {} })
    .catch(() => { throw new Error("the app does not answer; is it still running?"); });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error || `the app answered with ${answer.status}`);
  return told;
}

function complain(error) {
  $("error").textContent = error ? error.message : "";
  $("error").hidden = !error;
}
