using System.Security.Cryptography;
using System.Text.Json;
using Eigengate.JointDiagonalization.Revisions;

namespace Eigengate.JointDiagonalization.Runs;

/// <summary>What the bytes of a bundle depend on: settings, adapters by digest, and this build of the library.</summary>
internal static class RunIdentity
{
    internal static string Of(CompressorOptions options, AdapterCollection collection, WarmStart? warm)
    {
        // Where the bundle goes, how adapters were checked and what the report shows do not change what is in it.
        CompressorOptions settings = options with { Output = "-", Overwrite = false, Strict = false, BaseModelFolder = null, FigureModules = null };
        byte[] text = JsonSerializer.SerializeToUtf8Bytes(new
        {
            Build = typeof(RunIdentity).Assembly.ManifestModule.ModuleVersionId,
            // Decides how sums are split among threads, when the settings do not.
            Environment.ProcessorCount,
            Settings = settings,
            Start = warm is null ? null : new { warm.Generation, warm.ClusterOf, warm.MayMove },
            Adapters = collection.Adapters.Select((adapter, i) => new { adapter.Id, adapter.BaseModel, Digest = collection.Digests[i] }),
        });
        return Convert.ToHexStringLower(SHA256.HashData(text));
    }
}
