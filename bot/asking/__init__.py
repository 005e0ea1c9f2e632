"""What an author can say of a question, and what an answer to it is. Calls nobody."""
