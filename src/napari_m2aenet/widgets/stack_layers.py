"""The layers of a stack's result, which grow frame by frame; to be called on the GUI thread."""

from napari.layers import Image, Labels
from napari.viewer import Viewer

from napari_m2aenet.frames import FrameDone, FrameResults, FrameStack, StackRole
from napari_m2aenet.layer_data import MASK_COLOUR
from napari_m2aenet.widgets.layers import TAG


class StackLayers:
    """The result of one stack in a viewer: restored frames and their masks, where the stack lies."""

    def __init__(self, viewer: Viewer, stack: FrameStack) -> None:
        self.results = FrameResults(stack)
        self._viewer = viewer
        common = stack.placement.keywords()
        restored = Image(
            self.results.restored,
            name=f"{StackRole.RESTORED}: {stack.name}",
            rgb=stack.rgb,
            multiscale=False,
            visible=False,  # until there is something to see: frames that have not arrived would cover the photo
            **({} if stack.rgb else {"contrast_limits": stack.value_range or (0, 255)}),
            **common,
        )
        mask = Labels(
            self.results.mask,
            name=f"{StackRole.MASK}: {stack.name}",
            opacity=0.2,
            colormap={1: MASK_COLOUR, None: "transparent"},
            multiscale=False,
            visible=False,
            **common,
        )
        self._layers = {StackRole.RESTORED: restored, StackRole.MASK: mask}
        chosen = viewer.layers.selection.active
        step = viewer.dims.current_step
        for role, layer in self._layers.items():
            layer.metadata[TAG] = {
                "role": str(role),
                "source": str(stack.key),
                "layer": str(layer.unique_id),
                "batch": str(restored.unique_id),
            }
            viewer.add_layer(layer)
        viewer.dims.current_step = step  # a person stays at the frame that is shown
        if chosen is not None:
            viewer.layers.selection.active = chosen

    @property
    def is_shown(self) -> bool:
        """Whether the restored frames are still in the viewer."""
        return self._layers[StackRole.RESTORED] in self._viewer.layers

    def put(self, arrived: list[FrameDone]) -> None:
        """Show frames that are done."""
        is_first = not len(self.results)
        for done in arrived:
            self.results.put(done)
        for layer in self._layers.values():
            if arrived and layer in self._viewer.layers:
                layer.visible = layer.visible or (is_first and len(self.results) > 0)
                layer.refresh()

    def finish(self) -> None:
        """Keep with the restored frames how they were made; without a single one, there is nothing to keep."""
        if not len(self.results):
            for layer in self._layers.values():
                if layer in self._viewer.layers:
                    self._viewer.layers.remove(layer)
            return
        restored = self._layers[StackRole.RESTORED]
        restored.metadata = {**restored.metadata, "m2aenet": self.results.record()}
