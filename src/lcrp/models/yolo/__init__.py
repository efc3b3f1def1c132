"""YOLOv8, YOLO11, YOLO26 and their relatives, built from what a file says of them, or from tables."""
