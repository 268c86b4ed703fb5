"""A chatbot as people ship them: FastAPI in front, the OpenAI package behind, one history for each conversation."""

import json
import os
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI, OpenAIError
from pydantic import BaseModel

SYSTEM = "You are the assistant of a small library."
app = FastAPI()
model = AsyncOpenAI(max_retries=0)  # base URL and key come from the environment
histories: dict[str, list[dict[str, str]]] = {}


class Message(BaseModel):
    conversation: str
    text: str


@app.post("/chat")
async def chat(message: Message) -> StreamingResponse:
    return StreamingResponse(answer(message), media_type="text/event-stream")


async def answer(message: Message) -> AsyncIterator[str]:
    if os.environ.get("FORGET"):  # so that the tests can show that forgetting is caught
        histories.clear()
    history = histories.setdefault(message.conversation, [])
    history.append({"role": "user", "content": message.text})
    said = ""
    try:
        stream = await model.chat.completions.create(
            model="claude-haiku-4-5", messages=[{"role": "system", "content": SYSTEM}, *history], stream=True
        )
        async for chunk in stream:
            if chunk.choices and (delta := chunk.choices[0].delta.content):
                said += delta
                yield event(text=delta)
    except OpenAIError as error:
        yield event(error=str(error))
        return
    history.append({"role": "assistant", "content": said})
    yield "data: [DONE]\n\n"


def event(**data: str) -> str:
    return f"data: {json.dumps(data)}\n\n"


def main() -> None:
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), log_level="warning")


if __name__ == "__main__":
    main()
