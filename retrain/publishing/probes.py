"""What servers are asked in proofs. Signatures hold the prompts: a change here changes new ones."""

from feedback.ports import Message

PROBE_TOKENS = 12
"""Greedy tokens of one probe."""

PROBE_QUESTIONS = (
    "How do I reset my password?",
    "Why was my last export empty?",
    "What is 17 + 25?",
    "Can I get a refund for last month?",
    "Where do I find the audit log?",
    "What is the capital of France?",
    "The sync stopped with an error. What now?",
    "Hello!",
    (
        "I moved our workspace to the new region on Monday. Since then the nightly export of "
        "invoices has stopped after ninety seconds with a timeout, the audit log shows the job "
        "twice, and two of my colleagues got a message that their tokens had expired although both "
        "had renewed them. We already raised the limit in the settings and restarted the sync. "
        "What should we check next?"
    ),
)
"""One is as long as real questions are: a server that keeps prefixes must not share them between
adapters, and only a prompt longer than its blocks shows whether it does."""

PARITY_CONVERSATIONS: tuple[tuple[Message, ...], ...] = (
    (Message(role="user", content="How do I reset my password?"),),
    (
        Message(role="system", content="You are a support assistant."),
        Message(role="user", content="Hello"),
        Message(role="assistant", content="Hi, how can I help?"),
        Message(role="user", content="Exports fail."),
    ),
    (Message(role="user", content="Grüße aus Köln: 東京 🙂\n\n- first\n- second\n"),),
    (Message(role="user", content="  spaces <b>&amp;</b> {{ braces }} {% x %}  "),),
    (
        Message(role="user", content="Where are exports?"),
        Message(role="assistant", content="They are in the"),
    ),
)
"""What `/chat_tokenize` must render as training did: system, turns, Unicode, markup, and an answer
to be continued."""
