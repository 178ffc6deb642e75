"""Every kind of error, and what it means: stable names for programs (``chunkmed errors`` prints them)."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["KINDS"]

_DICOM = """
ambiguous-frames         nothing says whether the frames of a file are time points or slices
bad-affine               an affine does not say where voxels lie
bad-orientation          an orientation is not two perpendicular unit vectors, or names no direction
bad-position             the position of a slice is not three numbers that can be
bad-rescale              a rescale slope or intercept cannot be applied
bad-source               the frames of a series cannot be told one by one
bad-spacing              a pixel spacing is not two positive numbers, or a spacing cannot be resampled to
contradicting-positions  SliceLocation and ImagePositionPatient say different things
contradicting-spacing    SpacingBetweenSlices and ImagePositionPatient say different things
damaged-file             a file is damaged
duplicate-position       several images lie at one position, and nothing puts them in order
file-changed             a file changed between the scan and the reading
file-vanished            a file that was scanned cannot be opened any more
missing-decoder          the package that reads a transfer syntax is not there
missing-parts            files of a concatenation are missing
missing-slices           slices are missing between others
no-dicom                 no DICOM image lies below a path
no-match                 a series does not lie where the labels do
no-positions             images without positions, and no tag that puts them in order
no-series                there is no image series
no-such-path             there is no such file or folder
no-such-series           a selector selects no series
not-a-file               what is there is no regular file
not-a-segmentation       a DICOM object is no segmentation
not-on-disk              DICOM is read from disk, this is a URL
not-one-geometry         series that do not lie in parallel cannot be merged
not-one-series           series are not certain to be one image
not-tiff                 a file is not a TIFF that can be read
nothing-to-merge         there are no two series to merge
other-modality           the modality is not what is asked for
other-pixels             a series has other pixels than the image
overlapping-segments     segments share voxels
ragged-cells             images are missing at some time points
several-series           several series where one is needed
shifted-slices           slices lie beside the line of the others
too-large                a picture, or the parts that a file is compressed in, are too large
truncated-file           a file ends within its pixel data
undecodable              pixel data are damaged
unequal-phases           series to be merged have different numbers of phases
unequal-slices           the slices of a stack differ
uneven-spacing           slices lie at uneven distances
unknown-segment          a voxel of a segment that is not described
unreadable               a file cannot be read
unsupported-object       images of a form that is not read
unsupported-segmentation a segmentation of a form that is not read
value-overflow           rescaled values do not fit the dtype
"""
_STORES = """
bad-attribute            an attribute cannot be stored
bad-metadata             the metadata of an image of others contradict themselves
bad-name                 a text cannot be the name of a label image
bad-storage-option       an object store cannot be set up with these options
bad-url                  a URL that is not understood
damaged                  objects of a store differ from what was written
damaged-metadata         the metadata of a store are damaged
damaged-shard            stored values are damaged
exists                   the output is there already
foreign-array            an array that chunkmed did not write
incomplete               objects of a store are missing
inside-a-store           a part of a store of chunkmed, not the store
locked                   another process writes the store
missing-shard            a stored object is missing
no-access                an object store refuses access
no-answer                an object store does not answer, however often it is asked
no-bucket                there is no such bucket on the object store
no-label                 there is no such label image, or no such label
no-level                 there is no such resolution level, or no level is given
no-store                 there is no such store
not-a-store              what is there is not a store that chunkmed wrote
not-an-image             a zarr group that is no image
overtaken                another writer committed the store first
torn-shard               a block does not own whole shards
uncommitted              a store was never finished
unreadable-array         an array of a store cannot be opened
unreadable-chunk         a chunk of an array of others cannot be read
unreadable-metadata      the metadata of a zarr store cannot be read
unreadable-shard         a stored object cannot be read
unwritable               the output cannot be written
"""
_PLANS = """
bad-budget               memory or workers that are none
budget-too-small         the work does not fit the memory
job-refused              a batch system takes no job
no-batch-system          the commands of a batch system are not there
no-scheduler             no dask scheduler answers
no-scratch               there is no place for intermediate results
no-workers               the dask cluster has no workers
object-too-large         all voxels of an object do not fit the memory
query-planning           dask's experimental query planning is on
result-too-large         a result does not fit the memory
scheduler-lost           the dask scheduler is gone
unseen-folder            a worker does not see a folder that both write into
unseen-input             a worker does not see the input, or another one
worker-killed            a task ended one worker after another
worker-version           a worker has another version of chunkmed
worker-without-chunkmed  a worker has no chunkmed
"""
_ARGUMENTS = """
all-nan                  a curve is NaN at every time point
bad-address              an address of a scheduler that is none
bad-argument             an argument that a function does not take
bad-axis                 an axis that the image does not have
bad-bins                 bins that are none
bad-box                  a box leaves the image
bad-choice               a choice of slices or time points that is none
bad-cluster              options of a cluster that do not go together
bad-cluster-config       options of a batch system that cannot be
bad-connectivity         a connectivity that is none
bad-count                a count that is none
bad-cval                 a fill value that is none
bad-depth                a depth that is none
bad-dims                 dims that are no image's
bad-dtype                a dtype that does not serve here
bad-extent               a size of another kind than the objects have
bad-form                 a DICOM form that cannot be written
bad-format               a kind of file that is not written
bad-frames               frames are neither t nor z, or the headers say what they are
bad-function             a function that cannot be applied
bad-index                labels that cannot be asked for
bad-key                  the key of the identifiers is damaged
bad-kind                 a kind of segmentation that there is not
bad-labels               labels that are no whole numbers
bad-length               a text that is no length
bad-level                a threshold that is none
bad-limit                a limit of files that there is not, or that is none
bad-matrix               a matrix that is none
bad-method               a method that there is not
bad-metric               a metric that there is not
bad-modality             a modality that cannot be written
bad-mode                 a border mode that there is not
bad-names                names that do not name labels
bad-offset               an offset that is none
bad-order                an order of splines that there is not
bad-origin               an origin outside of its window
bad-padding              what is to happen to padding is not clear
bad-path                 a text that cannot be the path of a store
bad-per                  per is no axis
bad-percentile           a percentile outside 0 to 100
bad-phantom              a phantom that cannot be
bad-phases               phases can only be the nearest ones
bad-point                a point that is none
bad-positions            coordinates that are no numbers
bad-quantile             a quantile outside 0 to 1
bad-radius               a radius that is none
bad-range                a range without values
bad-rank                 a rank outside of its window
bad-recipe               a recipe that says what cannot be done
bad-sampling             a sampling that is none
bad-series               a series where there are none
bad-setting              an option that cannot be read
bad-shape                a shape that is none
bad-sigma                a sigma that is none
bad-size                 a size that is none
bad-time                 a time point that there is not
bad-times                times that are not one number for each time point
bad-window               a window that is none
bad-zoom                 a zoom that is none
colour-image             colours where single values are needed
empty-curve              a curve without time points
empty-footprint          a footprint without elements
empty-image              an image without voxels
insecure-address         an unencrypted scheduler on another machine
labels-missing           a recipe needs a label image
missing-extra            an optional package is not there: the message names the extra
needs-labels             labels are needed
no-axes                  an image without axes
no-center                a structure that never comes to rest
no-certificates          an encrypted scheduler needs certificates
no-channel               a channel has to be chosen
no-encoder               the package that writes a transfer syntax is not there
no-function              there is no such function
no-grid                  an image without a grid
no-image                 a measure needs an image
no-labels                there are no labels
no-measure               there is no such measure
no-recipe                a recipe cannot be read
no-size                  no size is given, or a table has none
no-source                a segmentation needs its series
no-spacing               an image without spacing in mm
no-step                  sizes in mm need rows and columns
no-such-identifier       a keyed identifier that is not known here
no-such-kind             there is no such kind of error
no-thickness             a volume needs the thickness of its slice
no-time                  an image without time points
no-time-point            there is no such time point
no-values                there are no values
no-volume                a curve that is never above zero
non-uniform              uniform steps are needed
not-a-curve              one number per time point is needed
not-ascending            coordinates that do not ascend
not-dicom                options that are for DICOM only
not-labels               an image that holds no labels
not-needed               what is said of an image it says itself
not-planar               an area needs a single slice
not-solid                a volume needs several slices
other-frame              images lie in different frames of reference
other-grid               images do not lie on one grid
output-array             an output cannot be an array here
parameter-missing        a recipe needs a parameter
point-on-background      a point lies on background
point-outside            a point lies outside the image
refused                  a function without an exact form on images in blocks
sequence-length          as many values as axes are needed
same-name                two measures of one name
several-objects          several objects where one is needed
several-times            a single time point is needed
shape-mismatch           shapes that do not go together
sheared                  axes at right angles are needed
single-slice             several slices are needed
single-voxel             several voxels are needed
suv-unknown              a tag that the SUV needs is missing
too-many-axes            more axes than can be measured along
two-masks                a mask is given twice
unknown-shape            an image of unknown shape
usage                    a command is used wrongly
"""
_COHORTS = """
bad-case-id              a pattern of case ids does not say where the id stands
bad-manifest             a list of cases cannot be read, or lacks a column
bad-result               the function of the user returned something else than a Dataset
bad-timeout              a time limit that is none
bad-where                a condition of a cohort is not understood
crashed                  the process of a case crashed
exited                   the process of a case ended by itself
input-changed            the input of a case is not what it was when the cohort was planned
killed                   the process of a case was killed
no-cases                 there are no cases below a path
no-cohort                there is no cohort in a folder
no-process               no process can be started for the cases
no-table                 the cases have no such table
other-code               the function is not the one that the cohort was planned with
timeout                  a case took longer than it may
worker-lost              the worker of a case was lost
"""
_PROCESS = """
demo-failed              the job of the demo failed
interrupted              Ctrl-C
out-of-memory            the memory of the machine is used up
system-error             the operating system refused something, like a write to a full disk
terminated               SIGTERM
unexpected               a fault of chunkmed: please report it
"""


def _rows(text: str) -> dict[str, str]:
    pairs = (line.split(None, 1) for line in text.strip().splitlines())
    return {kind: meaning.strip() for kind, meaning in pairs}


#: Kind -> meaning. A kind is never renamed; ``ChunkmedError.kind`` is always one of these.
KINDS: Mapping[str, str] = {
    kind: meaning
    for text in (_DICOM, _STORES, _PLANS, _ARGUMENTS, _COHORTS, _PROCESS)
    for kind, meaning in _rows(text).items()
}
