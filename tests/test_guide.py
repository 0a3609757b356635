import unittest
from unittest.mock import Mock, patch
from video_pipeline import VideoRenderer, SceneComposer


class TestVideoRenderer(unittest.TestCase):
    def setUp(self):
        self.config = {"fps": 30, "codec": "libx264", "bitrate": "8000k"}
        self.renderer = VideoRenderer(self.config)

    def test_render_video_success(self):
        """Test successful video rendering."""
        scenes = [{"image_path": "/tmp/scene1.png", "duration": 5.0, "text": {"content": "Scene 1"}}]

        result = self.renderer.render_video(scenes, "/tmp/output.mp4")

        self.assertEqual(result["status"], "success")
        self.assertIn("output_path", result)


class TestSceneComposer(unittest.TestCase):
    def setUp(self):
        self.config = {"default_scene_duration": 5.0}
        self.composer = SceneComposer(self.config)

    def test_compose_scenes(self):
        """Test scene composition."""
        story_scenes = [{"scene_id": "scene_001", "text": "Scene 1 text", "duration": 5.0}]
        assets = {"images": {"scene_001": "/tmp/scene1.png"}}

        composed = self.composer.compose_scenes(story_scenes, assets)

        self.assertEqual(len(composed), 1)
        self.assertIn("start_time", composed[0])
        self.assertIn("end_time", composed[0])


if __name__ == "__main__":
    unittest.main()
