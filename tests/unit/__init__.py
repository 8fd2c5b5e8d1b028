"""Tests that need neither root nor CAN in the kernel; they mirror src."""
