"""Messages and answers, byte for byte, over scripted sockets."""
