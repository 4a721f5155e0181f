using System.Text.RegularExpressions;
using Eigengate.JointDiagonalization.Tests.Support;

namespace Eigengate.JointDiagonalization.Tests.Storage;

public sealed class FullDiskTests
{
    /// <summary>Too small for the first module, and for the bundle beside the finished modules.</summary>
    [Theory]
    [InlineData(24 << 10, @"module-\d+\.safetensors")]
    [InlineData(64 << 10, @"(cores|bases)-\d+\.safetensors")]
    public void A_full_disk_is_named_with_the_bytes_needed_and_left_clean(int bytes, string file)
    {
        using var folder = new TemporaryFolder();
        string[] folders = AdapterFolders.Write(folder["in"], 12, rank: 4);
        using SmallDisk disk = SmallDisk.Mount(folder["disk"], bytes);
        var error = Assert.Throws<IOException>(
            () => Compressor.Compress(new CompressorOptions { Output = Path.Combine(disk.Path, "out"), RankU = 8, RankV = 8, Clusters = 2 }, folders));
        Assert.Matches(new Regex($"the disk is full: '{Regex.Escape(disk.Path)}/.*{file}' needs [1-9][0-9]+ bytes, and [0-9]+ are free"), error.Message);
        Assert.Empty(Directory.EnumerateFileSystemEntries(disk.Path));
    }
}
