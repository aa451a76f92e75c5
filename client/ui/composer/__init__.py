"""The composer: the message input, with completion, pastes, drafts and history."""
