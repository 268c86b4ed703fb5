/** A scenario's stand-in tools as an MCP server in the process of the Claude Agent SDK, with their JSON Schema as it is. */

/** For `mcpServers` of the SDK's options; nothing of the SDK is imported. */
export function mcpServer(tools, name = "convtest") {
  const answers = {
    initialize: ({ protocolVersion }) => ({
      protocolVersion, capabilities: { tools: {} }, serverInfo: { name, version: "1.0.0" },
    }),
    ping: () => ({}),
    "tools/list": () => ({ tools: tools.map(({ name, description, inputSchema }) => ({ name, description, inputSchema })) }),
    "tools/call": async ({ name, arguments: given }) => {
      const tool = tools.find((one) => one.name === name);
      const { text, isError } = tool ? await tool.call(given ?? {}) : { text: `there is no tool ${name}`, isError: true };
      return { content: [{ type: "text", text }], isError };
    },
  };
  async function connect(transport) {
    transport.onmessage = async ({ id, method, params }) => {
      if (id === undefined) return; // a notification
      const said = { jsonrpc: "2.0", id };
      const answer = answers[method];
      try {
        if (!answer) throw Object.assign(new Error(`no method ${method}`), { code: -32601 });
        await transport.send({ ...said, result: await answer(params ?? {}) });
      } catch (error) {
        await transport.send({ ...said, error: { code: error.code ?? -32603, message: String(error.message ?? error) } });
      }
    };
    await transport.start?.();
  }
  return { type: "sdk", name, instance: { connect, close: async () => {} } };
}

/** The names by which the CLI knows these tools, for `allowedTools`. */
export function toolNames(tools, name = "convtest") {
  return tools.map((tool) => `mcp__${name}__${tool.name}`);
}

/** A tool's name as the scenario has it; others' stay as they are. */
export function bareName(name, server = "convtest") {
  const prefix = `mcp__${server}__`;
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}
