package oms

// newTask is the body of CreateSyncTask.
type newTask struct {
	SrcCloudType string `json:"src_cloud_type"`
	SrcRegion    string `json:"src_region"`
	SrcBucket    string `json:"src_bucket"`
	SrcAK        string `json:"src_ak"`
	SrcSK        string `json:"src_sk"`
	DstRegion    string `json:"dst_region"`
	DstBucket    string `json:"dst_bucket"`
	DstAK        string `json:"dst_ak"`
	DstSK        string `json:"dst_sk"`
	crypto

	Description             string     `json:"description"`
	EnableMetadataMigration bool       `json:"enable_metadata_migration"`
	EnableRestore           bool       `json:"enable_restore"`
	EnableKMS               bool       `json:"enable_kms"`
	DstStoragePolicy        string     `json:"dst_storage_policy"`
	AppID                   string     `json:"app_id"`
	SourceCDN               *sourceCDN `json:"source_cdn"`
	ConsistencyCheck        string     `json:"consistency_check"`
	ObjectOverwriteMode     string     `json:"object_overwrite_mode"` // ours: answers have it, requests of OMS do not

	// Ours: the address of a store in place of a region.
	SrcEndpoint string `json:"src_endpoint"`
	DstEndpoint string `json:"dst_endpoint"`
}

// sourceCDN is a domain that serves the source bucket's objects; in answers without its
// key.
type sourceCDN struct {
	Domain             string `json:"domain"`
	Protocol           string `json:"protocol"`
	AuthenticationType string `json:"authentication_type"`
	AuthenticationKey  string `json:"authentication_key,omitempty"`
	CryptoType         string `json:"crypto_type,omitempty"`
	KMSKeyID           string `json:"kms_key_id,omitempty"`
}

// crypto says how the key pairs themselves are encrypted.
type crypto struct {
	SrcCryptoType string `json:"src_crypto_type"`
	SrcKMSKeyID   string `json:"src_kms_key_id"`
	DstCryptoType string `json:"dst_crypto_type"`
	DstKMSKeyID   string `json:"dst_kms_key_id"`
}

// startTask is the body of StartSyncTask.
type startTask struct {
	SrcAK string `json:"src_ak"`
	SrcSK string `json:"src_sk"`
	DstAK string `json:"dst_ak"`
	DstSK string `json:"dst_sk"`
	crypto

	SourceCDNKey        string `json:"source_cdn_authentication_key"`
	SourceCDNCryptoType string `json:"source_cdn_crypto_type"`
	SourceCDNKMSKeyID   string `json:"source_cdn_kms_key_id"`
}

// createdTask answers CreateSyncTask.
type createdTask struct {
	ID string `json:"sync_task_id"`
}

// syncTask is a task in answers. Keys are in none.
type syncTask struct {
	ID                      string  `json:"sync_task_id"`
	SrcCloudType            string  `json:"src_cloud_type"`
	SrcRegion               string  `json:"src_region"`
	SrcBucket               string  `json:"src_bucket"`
	CreateTime              int64   `json:"create_time"`     // ms
	LastStartTime           int64   `json:"last_start_time"` // ms
	DstBucket               string  `json:"dst_bucket"`
	DstRegion               string  `json:"dst_region"`
	Description             string  `json:"description"`
	Status                  string  `json:"status"`
	EnableMetadataMigration bool    `json:"enable_metadata_migration"`
	EnableRestore           bool    `json:"enable_restore"`
	EnableKMS               bool    `json:"enable_kms"`
	AppID                   *string `json:"app_id"`
	ObjectOverwriteMode     string  `json:"object_overwrite_mode"`
	DstStoragePolicy        string  `json:"dst_storage_policy"`
	ConsistencyCheck        string  `json:"consistency_check"`
}

// listedTask is a task of a list, which has more of it than ShowSyncTask.
type listedTask struct {
	syncTask
	SourceCDN *sourceCDN `json:"source_cdn,omitempty"`
}

// shownTask answers ShowSyncTask.
type shownTask struct {
	syncTask
	MonthlyAcceptanceRequest int64 `json:"monthly_acceptance_request"`
	MonthlySuccessObject     int64 `json:"monthly_success_object"`
	MonthlyFailureObject     int64 `json:"monthly_failure_object"`
	MonthlySkipObject        int64 `json:"monthly_skip_object"`
	MonthlySize              int64 `json:"monthly_size"`
}

// taskPage answers ListSyncTasks.
type taskPage struct {
	Tasks []listedTask `json:"tasks"`
	Count int64        `json:"count"` // of all pages
}

// events is the body of CreateSyncEvents.
type events struct {
	ObjectKeys []*string `json:"object_keys"`
}

// statistics answers ListSyncTaskStatistic.
type statistics struct {
	ID    string   `json:"sync_task_id"`
	Width string   `json:"statistic_time_type"`
	Datas []series `json:"statistic_datas"`
}

type series struct {
	Type string  `json:"data_type"`
	Data []point `json:"data"`
}

type point struct {
	At int64 `json:"time_stamp"` // ms
	N  int64 `json:"statistic_num"`
}

// place is the bodies of the questions about stores.
type place struct {
	CloudType      string `json:"cloud_type"`
	AK             string `json:"ak"`
	SK             string `json:"sk"`
	SecurityToken  string `json:"security_token"`
	Region         string `json:"region"`
	DataCenter     string `json:"data_center"`
	Bucket         string `json:"bucket"`
	BucketName     string `json:"bucket_name"`
	FilePath       string `json:"file_path"`
	FileName       string `json:"file_name"`
	PageSize       int    `json:"page_size"`
	BehindFilename string `json:"behind_filename"`

	SourceCDN *sourceCDN `json:"source_cdn"`
	Prefix    struct {
		Keys []string `json:"keys"`
	} `json:"prefix"`
}

// cdnInfo answers ShowCdnInfo.
type cdnInfo struct {
	SameCloud    bool         `json:"is_same_cloud_type"`
	Downloadable bool         `json:"is_download_available"`
	Keys         []checkedKey `json:"checked_keys"`
}

type checkedKey struct {
	Key          string `json:"key"`
	ETagMatching bool   `json:"is_etag_matching"`
	Existing     bool   `json:"is_object_existing"`
}

type objectPage struct {
	NextPage   bool     `json:"next_page"`
	NextMarker string   `json:"next_marker"`
	Records    []record `json:"records"`
}

// record has its size as a string: "--" for a folder.
type record struct {
	Name string `json:"name"`
	Size string `json:"size"`
}

type bucketRegion struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Support bool   `json:"support"`
}

type prefixExists struct {
	Exist bool `json:"exist"`
}

type dataCenter struct {
	ServiceName string       `json:"service_name"`
	Regions     []regionInfo `json:"region_list"`
}

type regionInfo struct {
	CloudType   string `json:"cloud_type"`
	Value       string `json:"value"`
	Description string `json:"description"`
}

type projectList struct {
	Projects []project         `json:"projects"`
	Links    map[string]string `json:"links"`
}

type project struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Enabled  bool   `json:"enabled"`
	IsDomain bool   `json:"is_domain"`
}
