"""What people say of clips: votes, how well numbers agree with them, and studies that collect them."""
