const url = `${location.origin}/graphql`;

// Sends one operation to the API beside this page. GraphiQL prints what it
// returns; what is no GraphQL answer becomes an error in one readable line,
// where an exception would be printed with its stack.
export async function fetcher(operation, { headers } = {}) {
  let response, text;
  try {
    response = await fetch(url, {
      method: 'POST',
      credentials: 'same-origin',
      headers: {
        accept: 'application/graphql-response+json, application/json;q=0.9',
        'content-type': 'application/json',
        ...headers,
      },
      body: JSON.stringify(operation),
    });
    text = await response.text();
  } catch (error) {
    return failure(`No answer from ${url}: ${error.message}`);
  }
  try {
    return JSON.parse(text);
  } catch {
    return failure(`${url} answered ${response.status} ${response.statusText}: ${text.trim()}`);
  }
}

function failure(message) {
  return { errors: [{ message }] };
}
