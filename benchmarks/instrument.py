"""The measuring program: face points from MediaPipe's full graph with lip attention. Runs in its own environment.

    INSTRUMENT/bin/python benchmarks/instrument.py OUT.npz VIDEO

writes points (T, 478, 3) float32: x and y in px of the frame, z in the same scale; nan in frames without a face.
benchmarks/real.py creates the environment (MediaPipe 0.10.21 needs numpy below 2) and calls this program, which imports
nothing from the project.
"""

import sys

import cv2
import mediapipe
import numpy as np

NUM_POINTS = 478  # 468 of the face, 10 of the irises


def points(video: str) -> np.ndarray:
    mesh = mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=False,
        max_num_faces=1,
        refine_landmarks=True,
        min_detection_confidence=0.3,
        min_tracking_confidence=0.3,
    )
    source, rows = cv2.VideoCapture(video), []
    while True:
        success, bgr_HW3 = source.read()
        if not success:
            break
        height, width = bgr_HW3.shape[:2]
        faces = mesh.process(cv2.cvtColor(bgr_HW3, cv2.COLOR_BGR2RGB)).multi_face_landmarks
        row = np.full((NUM_POINTS, 3), np.nan, np.float32)
        if faces:
            row = np.array([(p.x * width, p.y * height, p.z * width) for p in faces[0].landmark], np.float32)
        rows.append(row)
    return np.array(rows, np.float32).reshape(-1, NUM_POINTS, 3)


if __name__ == "__main__":
    np.savez_compressed(sys.argv[1], points=points(sys.argv[2]))
